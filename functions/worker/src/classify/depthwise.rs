//! Depthwise convolutions, on which tract spends half of a run of a small network.
//!
//! Each channel is convolved with a kernel of its own. tract sums many pixels at a time within a row whose taps lie all in
//! the picture, on x86-64 and without a stride; otherwise it visits the taps of one pixel after another. Here a channel is
//! laid out with its padding first, so that each tap is equally far away for all of its pixels, and many of them are
//! summed at a time, whatever rows they are in. With a stride, the pixels are dealt out to phases: those that one tap meets
//! lie side by side. The sums are made in tract's order; on x86-64, where neither fuses a product with its sum, they are
//! the same to the last bit.
//!
//! [`rewrite`] puts this in the place of the convolutions that it can do, and of the limits that follow them; other
//! convolutions stay tract's.

#![expect(clippy::inline_always, reason = "what is not inlined into the call for wide registers does not use them")]

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, StaticName, TractErrorContext, as_op, op_as_typed_op, op_out_of_plan, rule_if, rule_if_some,
};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::conv::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Pixels that are summed at a time: what stays in a processor's registers while all taps are added.
const LANES: usize = 32;

/// A depthwise convolution of planes of 32-bit floats, and the limits of what comes out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Depthwise {
    rows: Axis,
    columns: Axis,
    /// One a tap, channel after channel.
    weights: Arc<Tensor>,
    /// One a channel.
    bias: Arc<Tensor>,
    /// A scalar each, if there are limits.
    least: Option<Arc<Tensor>>,
    most: Option<Arc<Tensor>>,
}

/// A convolution along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    /// Zeros in front of the first value.
    before: usize,
}

/// Puts [`Depthwise`] in the place of the convolutions that it can do.
pub(super) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::<()>::default().with_rule_for("depthwise", replacement).rewrite(&(), model)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what a rule looks like")]
fn replacement(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    conv: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    let pool = &conv.pool_spec;
    let facts = model.node_input_facts(node.id)?;
    let [input, weights, bias] = facts[..] else { return Ok(None) };
    rule_if!(conv.q_params.is_none() && conv.kernel_fmt == KernelFormat::OIHW);
    rule_if!(conv.group == pool.input_channels && conv.group == pool.output_channels);
    rule_if!(matches!(pool.data_format, DataFormat::NCHW | DataFormat::CHW) && pool.kernel_shape.len() == 2);
    rule_if!(pool.dilations().iter().all(|&dilation| dilation == 1));
    rule_if!(facts.iter().all(|fact| fact.datum_type == f32::datum_type()));
    rule_if_some!(shape = input.shape.as_concrete());
    rule_if_some!(weights = weights.konst.clone());
    rule_if_some!(bias = bias.konst.clone());
    let taps: usize = pool.kernel_shape.iter().product();
    rule_if!(weights.len() == conv.group * taps && bias.len() == conv.group);

    let shape = pool.data_format.shape(shape)?;
    let padding = pool.computed_padding(shape.hw_dims());
    // With a padding that whole kernels fit into, sums of nothing would be laid out.
    rule_if!((0..2).all(|at| padding[at].pad_before < pool.kernel_shape[at]));
    let axis = |at: usize| Axis {
        input: shape.hw_dims()[at],
        output: padding[at].convoluted,
        kernel: pool.kernel_shape[at],
        stride: pool.strides()[at],
        before: padding[at].pad_before,
    };
    let (least, end) = limit(model, node.id.into(), "Max");
    let (most, end) = limit(model, end, "Min");
    let depthwise = Depthwise { rows: axis(0), columns: axis(1), weights, bias, least, most };
    let mut patch = TypedModelPatch::default();
    let input = patch.tap_model(model, node.inputs[0])?;
    let output = patch.wire_node(name, depthwise, &[input])?[0];
    patch.shunt_outside(model, end, output)?;
    Ok(Some(patch))
}

/// The scalar by which the next node, of this name, limits the values, and where they come out; or where they are now.
fn limit(model: &TypedModel, from: OutletId, name: &str) -> (Option<Arc<Tensor>>, OutletId) {
    let limited = || {
        let [next] = model.outlet_successors(from) else { return None };
        let node = model.node(next.node);
        let op = node.op_as::<TypedBinOp>()?;
        let scalar = model.outlet_fact(*node.inputs.get(1 - next.slot)?).ok()?.konst.clone()?;
        let same = op.0.name() == name && scalar.len() == 1 && scalar.datum_type() == f32::datum_type();
        same.then(|| (Some(scalar), node.id.into()))
    };
    limited().unwrap_or((None, from))
}

impl Op for Depthwise {
    fn name(&self) -> StaticName {
        "Depthwise".into()
    }

    op_as_typed_op!();
}

impl TypedOp for Depthwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.clone();
        let rank = shape.rank();
        shape.set(rank - 2, self.rows.output.to_dim());
        shape.set(rank - 1, self.columns.output.to_dim());
        Ok(tvec!(f32::fact(shape)))
    }

    as_op!();
}

impl EvalOp for Depthwise {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut shape: TVec<usize> = inputs[0].shape().into();
        let rank = shape.len();
        (shape[rank - 2], shape[rank - 1]) = (self.rows.output, self.columns.output);
        let mut output = Tensor::zero::<f32>(&shape)?;
        let scalar = |limit: &Option<Arc<Tensor>>, otherwise| {
            limit.as_ref().map_or(TractResult::Ok(otherwise), |limit| Ok(values(limit)?[0]))
        };
        pulp::Arch::new().dispatch(Work {
            rows: self.rows,
            columns: self.columns,
            weights: values(&self.weights)?,
            bias: values(&self.bias)?,
            limits: (scalar(&self.least, f32::NEG_INFINITY)?, scalar(&self.most, f32::INFINITY)?),
            input: values(&inputs[0])?,
            output: output.to_plain_array_view_mut()?.as_slice_mut().context("a new tensor is in one piece")?,
        });
        Ok(tvec!(output.into()))
    }
}

fn values(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.to_plain_array_view()?.to_slice().context("a tensor is in one piece")
}

/// One run, to be done with the widest registers that the processor has.
struct Work<'a> {
    rows: Axis,
    columns: Axis,
    weights: &'a [f32],
    bias: &'a [f32],
    limits: (f32, f32),
    input: &'a [f32],
    output: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rows, columns, weights, bias, limits: (least, most), input, output } = self;
        let (width, taps) = (columns.phase(), taps(rows, columns));
        let phases = rows.phase() * width * rows.stride * columns.stride;
        let sums = ((rows.output - 1) * width + columns.output).next_multiple_of(LANES);
        // The last sums reach beyond the last row; nobody reads them.
        let mut laid = vec![0.0; phases + LANES + width];
        let mut summed = vec![0.0; sums];
        let inputs = input.chunks_exact(rows.input * columns.input);
        let outputs = output.chunks_exact_mut(rows.output * columns.output);
        let channels = weights.chunks_exact(taps.len()).zip(bias).cycle();
        for ((input, output), (weights, &bias)) in inputs.zip(outputs).zip(channels) {
            lay(rows, columns, input, &mut laid);
            for (at, sums) in summed.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let mut total = [bias; LANES];
                let from = &laid[at * LANES..];
                for (&tap, weight) in taps.iter().zip(weights) {
                    let values: &[f32; LANES] = from[tap..].first_chunk().expect("laid with room to spare");
                    for (total, value) in total.iter_mut().zip(values) {
                        *total += weight * value;
                    }
                }
                *sums = total.map(|total| total.max(least).min(most));
            }
            for (output, sums) in output.chunks_exact_mut(columns.output).zip(summed.chunks(width)) {
                output.copy_from_slice(&sums[..columns.output]);
            }
        }
    }
}

/// Deals a plane out to its phases, one after another. The padding around it is not written to.
#[inline(always)]
fn lay(rows: Axis, columns: Axis, plane: &[f32], laid: &mut [f32]) {
    let phases = laid.chunks_exact_mut(rows.phase() * columns.phase()).take(rows.stride * columns.stride);
    for (of, phase) in phases.enumerate() {
        let (top, first, down) = rows.dealt(of / columns.stride);
        let (left, start, across) = columns.dealt(of % columns.stride);
        let lines = plane.chunks_exact(columns.input).skip(first).step_by(rows.stride);
        for (line, to) in lines.zip(phase.chunks_exact_mut(columns.phase()).skip(top)).take(down) {
            let (line, to) = (&line[start..], &mut to[left..left + across]);
            match columns.stride {
                1 => to.copy_from_slice(&line[..across]),
                // Of a constant stride, the compiler makes shuffles.
                2 => to.iter_mut().zip(line.chunks(2)).for_each(|(to, pair)| *to = pair[0]),
                stride => to.iter_mut().zip(line.chunks(stride)).for_each(|(to, values)| *to = values[0]),
            }
        }
    }
}

/// How far from a pixel's own place, among all that is laid out, each tap finds its value.
fn taps(rows: Axis, columns: Axis) -> Vec<usize> {
    let phase = rows.phase() * columns.phase();
    let tap = |(y, x): (usize, usize)| {
        let of = y % rows.stride * columns.stride + x % columns.stride;
        of * phase + y / rows.stride * columns.phase() + x / columns.stride
    };
    (0..rows.kernel).flat_map(|y| (0..columns.kernel).map(move |x| (y, x))).map(tap).collect()
}

impl Axis {
    /// Values in each phase, the padding included: what is `stride` apart is dealt to the same one.
    fn phase(&self) -> usize {
        self.output + (self.kernel - 1) / self.stride
    }

    /// Which values a phase gets: where the first one stands in the phase, where in the input, and how many there are.
    fn dealt(&self, phase: usize) -> (usize, usize, usize) {
        let skipped = self.before.saturating_sub(phase).div_ceil(self.stride);
        let first = skipped * self.stride + phase - self.before;
        let there = self.input.saturating_sub(first).div_ceil(self.stride);
        (skipped, first.min(self.input), there.min(self.phase().saturating_sub(skipped)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tract_onnx::tract_core::internal::Approximation;
    use tract_onnx::tract_core::ops::cnn::{PaddingSpec, PoolSpec};
    use tract_onnx::tract_core::ops::math;

    use super::*;

    const CHANNELS: usize = 3;

    fn noise(shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|at| ((at * 7919 + 13) % 1009) as f32 / 300.0 - 1.7).collect();
        Tensor::from_shape(shape, &values).unwrap()
    }

    /// A convolution, and `ReLU6` if it is to be limited.
    fn model(size: [usize; 2], kernel: [usize; 2], strides: [usize; 2], pad: [usize; 4], limited: bool) -> TypedModel {
        padded(1, size, kernel, strides, PaddingSpec::Explicit(pad[..2].into(), pad[2..].into()), limited)
    }

    fn padded(
        batch: usize,
        size: [usize; 2],
        kernel: [usize; 2],
        strides: [usize; 2],
        padding: PaddingSpec,
        limited: bool,
    ) -> TypedModel {
        let mut model = TypedModel::default();
        let shape = [batch, CHANNELS, size[0], size[1]];
        let input = model.add_source("input", f32::fact(shape)).unwrap();
        let weights = model.add_const("weights", noise(&[CHANNELS, 1, kernel[0], kernel[1]])).unwrap();
        let bias = model.add_const("bias", noise(&[CHANNELS])).unwrap();
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: kernel[..].into(),
            padding,
            dilations: None,
            strides: Some(strides[..].into()),
            input_channels: CHANNELS,
            output_channels: CHANNELS,
        };
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: CHANNELS, q_params: None };
        let mut output = model.wire_node("conv", conv, &[input, weights, bias]).unwrap()[0];
        if limited {
            for (name, op, limit) in [("least", math::max(), 0.0f32), ("most", math::min(), 6.0)] {
                let limit = model.add_const(format!("{name}.limit"), tensor4(&[[[[limit]]]])).unwrap();
                output = model.wire_node(name, op, &[output, limit]).unwrap()[0];
            }
        }
        model.select_output_outlets(&[output]).unwrap();
        model
    }

    fn run(model: TypedModel, input: &Tensor) -> Tensor {
        let model = model.into_optimized().unwrap().into_runnable().unwrap();
        model.run(tvec!(input.clone().into())).unwrap().remove(0).into_tensor()
    }

    fn check(size: [usize; 2], kernel: [usize; 2], strides: [usize; 2], pad: [usize; 4], limited: bool) {
        check_model(model(size, kernel, strides, pad, limited), &[1, CHANNELS, size[0], size[1]]);
    }

    fn check_model(expected: TypedModel, shape: &[usize]) {
        let mut rewritten = expected.clone();
        rewrite(&mut rewritten).unwrap();
        let ops: Vec<_> = rewritten.eval_order().unwrap().iter().map(|&id| rewritten.node(id).op().name()).collect();
        assert!(ops.iter().any(|op| op == "Depthwise"), "{ops:?}");
        assert!(!ops.iter().any(|op| ["Conv", "Max", "Min"].contains(&op.as_ref())), "{ops:?}");
        let input = noise(shape);
        let (found, expected) = (run(rewritten, &input), run(expected, &input));
        let same = if cfg!(target_arch = "x86_64") { Approximation::Exact } else { Approximation::Close };
        found.close_enough(&expected, same).unwrap();
    }

    #[test]
    fn it_is_what_tract_computes() {
        check([112, 112], [3, 3], [1, 1], [1, 1, 1, 1], true);
        check([112, 112], [3, 3], [2, 2], [0, 0, 1, 1], true);
        check([56, 56], [5, 5], [2, 2], [1, 1, 2, 2], false);
        check([7, 7], [5, 5], [1, 1], [2, 2, 2, 2], true);
    }

    #[test]
    fn several_photos_and_any_kind_of_padding_are_done() {
        for padding in [PaddingSpec::SameUpper, PaddingSpec::SameLower, PaddingSpec::Valid] {
            for strides in [[1, 1], [2, 2], [1, 3]] {
                check_model(padded(2, [20, 17], [3, 5], strides, padding.clone(), true), &[2, CHANNELS, 20, 17]);
            }
        }
    }

    #[test]
    fn what_it_cannot_do_stays_tracts() {
        fn conv(model: &mut TypedModel) -> &mut Conv {
            model.nodes.iter_mut().find_map(|node| node.op_as_mut::<Conv>()).unwrap()
        }
        fn unknown(model: &mut TypedModel, name: &str, shape: &[usize]) {
            let node = model.nodes.iter().find(|node| node.name == name).unwrap().id;
            model.set_outlet_fact(node.into(), f32::fact(shape)).unwrap();
        }
        for (name, change) in [
            ("several channels", (|model| conv(model).group = 1) as fn(&mut TypedModel)),
            ("a dilation", |model| conv(model).pool_spec.dilations = Some([1, 2][..].into())),
            ("several results a channel", |model| conv(model).pool_spec.output_channels = CHANNELS * 2),
            ("weights of the moment", |model| unknown(model, "weights", &[CHANNELS, 1, 3, 3])),
            ("a bias of the moment", |model| unknown(model, "bias", &[CHANNELS])),
            ("wide padding on top", |model| {
                conv(model).pool_spec.padding = PaddingSpec::Explicit([3, 0][..].into(), [0, 0][..].into());
            }),
            ("wide padding on the left", |model| {
                conv(model).pool_spec.padding = PaddingSpec::Explicit([0, 3][..].into(), [0, 0][..].into());
            }),
        ] {
            let mut model = model([8, 8], [3, 3], [1, 1], [1; 4], false);
            change(&mut model);
            rewrite(&mut model).unwrap();
            assert!(model.nodes.iter().any(Node::op_is::<Conv>), "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_its_shape(
            size in [1usize..40, 1usize..40],
            kernel in [1usize..7, 1usize..7],
            strides in [1usize..4, 1usize..4],
            pad in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
            limited: bool,
        ) {
            prop_assume!((0..2).all(|at| size[at] + pad[at] + pad[at + 2] >= kernel[at] && pad[at] < kernel[at]));
            check(size, kernel, strides, pad, limited);
        }
    }
}
