//! What a photo shows, by an ONNX classifier that is described by files alone.
//!
//! A model's folder holds `model.json` (see [`Description`]), `labels.txt` (a line for each output, in order) and the
//! ONNX file. The pixels take the way that the model's authors evaluate with: Pillow's bilinear to the short side,
//! centre crop, normalise. An alpha channel is dropped there, so a transparent pixel counts with the colour under it.

mod depthwise;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::job::{Classification, Prediction};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::optim::Optimizer;

use crate::image::View;

/// Labels in an answer, or fewer if the model knows fewer.
const BEST: usize = 5;

/// A loaded model. Cheap to share and safe to use from several threads at once.
pub(crate) struct Classifier {
    model: Arc<TypedRunnableModel>,
    labels: Vec<String>,
    description: Description,
}

/// `model.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Description {
    /// Stands in every answer.
    name: String,
    /// The ONNX file, in the same folder.
    file: String,
    /// Lower-case hex; absent: not checked.
    sha256: Option<String>,
    /// Width and height of the crop that the model takes, in pixels.
    input_width: u32,
    input_height: u32,
    /// The short side before the crop, in pixels.
    resize: u32,
    #[expect(dead_code, reason = "there is one way so far; naming it keeps a model of another way out")]
    interpolation: Interpolation,
    /// Per channel, of pixels from 0 to 1.
    mean: [f32; 3],
    std: [f32; 3],
    output: Output,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Interpolation {
    Bilinear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    Logits,
    Probabilities,
}

/// A model that cannot be used, and the file that is at fault.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", path.display())]
pub(crate) struct ModelError {
    path: PathBuf,
    problem: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The model does not run on an input of the size it states.
#[derive(Debug, thiserror::Error)]
#[error("the model does not run")]
pub(crate) struct InferenceError(#[source] Box<dyn Error + Send + Sync>);

/// The pixels that the model sees of a photo, ready to be classified.
#[derive(Debug)]
pub(crate) struct Input(Tensor);

impl Classifier {
    /// Loads the model in `folder`, or says which of its files is at fault.
    pub(crate) fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::load_described(folder, Description::read(folder)?)
    }

    /// Loads the model that `description` describes, in the same folder.
    pub(crate) fn load_described(folder: &Path, description: Description) -> Result<Self, ModelError> {
        let path = folder.join(&description.file);
        let unreadable = |error: std::io::Error| ModelError::new(&path, "cannot be read", Some(error.into()));
        let file = File::open(&path).map_err(unreadable)?;
        // Hashing takes as long as building, where the processor has no instructions for it.
        let (model, genuine) = thread::scope(|scope| {
            let genuine = scope.spawn(|| match &description.sha256 {
                Some(expected) => Ok(*expected == hash(file)?),
                None => Ok(true),
            });
            (build(&path, &description), genuine.join().expect("hashing does not panic"))
        });
        let genuine = genuine.map_err(unreadable)?;
        if !genuine {
            return Err(ModelError::new(&path, "is not the file that model.json names: its SHA-256 differs", None));
        }
        let (model, outputs) =
            model.map_err(|error| ModelError::new(&path, "is no model that can be run", Some(error.into())))?;

        let path = folder.join("labels.txt");
        let labels = String::from_utf8(read(&path)?)
            .map_err(|error| ModelError::new(&path, "is not UTF-8", Some(error.into())))?;
        let labels: Vec<_> = labels.lines().map(str::to_owned).collect();
        if labels.len() != outputs {
            let problem = format!("has {} labels, but the model has {outputs} outputs", labels.len());
            return Err(ModelError::new(&path, problem, None));
        }
        Ok(Self { model, labels, description })
    }

    /// What the model looks at of a photo.
    pub(crate) fn view(&self) -> View {
        self.description.view()
    }

    /// The model's input, from the RGB rows that [`Self::view`] cuts out of a photo.
    pub(crate) fn prepare(&self, cropped: &[u8]) -> Input {
        let Description { input_width, input_height, mean, std, .. } = self.description;
        let plane = input_width as usize * input_height as usize;
        let mut values = vec![0.0; plane * 3];
        for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
            let table: [f32; 256] = std::array::from_fn(|v| (v as f32 / 255.0 - mean[channel]) / std[channel]);
            for (value, pixel) in values.iter_mut().zip(cropped.as_chunks::<3>().0) {
                *value = table[usize::from(pixel[channel])];
            }
        }
        Input(Tensor::from_shape(&self.shape(), &values).expect("three values a pixel"))
    }

    /// The five most probable labels, most probable first, of what [`Self::prepare`] made.
    pub(crate) fn answer(&self, input: Input) -> Result<Classification, InferenceError> {
        let scores = self.run(input)?;
        let probabilities = match self.description.output {
            Output::Logits => softmax(&scores),
            Output::Probabilities => scores.into_iter().map(f64::from).collect(),
        };
        let mut found: Vec<_> = self.labels.iter().zip(probabilities).collect();
        // A stable sort: of equals, the earlier label comes first.
        found.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let predictions: Vec<_> = found
            .into_iter()
            .take(BEST)
            .map(|(label, probability)| Prediction { label: label.clone(), probability })
            .collect();
        let predicted_class = predictions.first().map(|best| best.label.clone()).unwrap_or_default();
        Ok(Classification { model: self.description.name.clone(), predicted_class, predictions })
    }

    fn run(&self, Input(tensor): Input) -> Result<Vec<f32>, InferenceError> {
        let scores = || {
            let outputs = self.model.run(tvec!(tensor.into()))?;
            let view = outputs[0].to_plain_array_view::<f32>()?;
            TractResult::Ok(view.iter().copied().collect())
        };
        scores().map_err(|error| InferenceError(error.into()))
    }

    fn shape(&self) -> [usize; 4] {
        [1, 3, self.description.input_height as usize, self.description.input_width as usize]
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Description {
    /// Reads the description in a model's folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("model.json");
        let description: Self = serde_json::from_slice(&read(&path)?)
            .map_err(|error| ModelError::new(&path, "does not describe a model", Some(error.into())))?;
        description.check().map_err(|problem| ModelError::new(&path, problem, None))?;
        Ok(description)
    }

    /// What the model looks at of a photo.
    pub(crate) fn view(&self) -> View {
        View { resize: self.resize, width: self.input_width, height: self.input_height }
    }

    fn check(&self) -> Result<(), &'static str> {
        let sides = [self.input_width, self.input_height, self.resize];
        if sides.iter().any(|side| !(1..=4096).contains(side)) {
            Err("names a size outside 1 to 4096")
        } else if self.resize < self.input_width.max(self.input_height) {
            Err("names a `resize` smaller than the input")
        } else if self.std.contains(&0.0) {
            Err("names a `std` of zero")
        } else if Path::new(&self.file).file_name() != Some(self.file.as_ref()) {
            Err("names a `file` outside its own folder")
        } else {
            Ok(())
        }
    }
}

impl ModelError {
    fn new(path: &Path, problem: impl Into<String>, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|error| ModelError::new(path, "cannot be read", Some(error.into())))
}

/// The model, and how many values come out of it.
fn build(onnx: &Path, description: &Description) -> TractResult<(Arc<TypedRunnableModel>, usize)> {
    let (height, width) = (description.input_height as usize, description.input_width as usize);
    let framework = tract_onnx::onnx();
    // Mapped, not read: in memory the file would be a quarter of all that building takes. And without its folder, so that
    // weights in other files, which nobody hashes, are refused.
    let model = framework.model_for_proto_model(&framework.proto_model_for_path(onnx)?)?;
    let mut model = model.with_input_fact(0, f32::fact([1, 3, height, width]).into())?.into_typed()?;
    // Known before anything runs, like every size in between: the input's is fixed.
    let outputs = model.output_fact(0)?.shape.volume().to_usize()?;
    let mut declutter = Optimizer::declutter();
    // It looks for a better order of axes, which takes half of all the time and of the memory, and for networks that come
    // with channels first finds none.
    declutter.passes.retain(|pass| !format!("{pass:?}").starts_with("ChangeAxes"));
    declutter.optimize(&mut model)?;
    depthwise::rewrite(&mut model)?;
    model.optimize()?;
    Ok((model.into_runnable()?, outputs))
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// SHA-256 in lower-case hex.
fn hash(mut file: File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}
