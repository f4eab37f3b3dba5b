// The job of a photo with sharp (libvips) and onnxruntime-node. Started by `scripts/bench`, which says how it is spoken to.
//
//     node sharp.mjs MODEL_DIR
//
// Tuned: one decode, at a half or less where that suffices; the classifier looks at the small picture; the watermark is a
// small SVG; one thread each for libvips and onnxruntime, no cache. A .png is what was resized, without a watermark.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import path from "node:path";
import ort from "onnxruntime-node";
import sharp from "sharp";

const SIDE = 1600;
const QUALITY = 85;
const TEXT = "© Darkroom";

sharp.concurrency(1);
sharp.cache(false);

const [folder] = process.argv.slice(2);
const description = JSON.parse(readFileSync(path.join(folder, "model.json"), "utf8"));
const labels = readFileSync(path.join(folder, "labels.txt"), "utf8").trimEnd().split("\n");
const session = await ort.InferenceSession.create(path.join(folder, description.file), {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});

async function classify(pixels, info) {
  const { inputWidth: width, inputHeight: height, resize, mean, std } = description;
  const scale = resize / Math.min(info.width, info.height);
  const size = [Math.trunc(info.width * scale), Math.trunc(info.height * scale)];
  const cut = { left: (size[0] - width) >> 1, top: (size[1] - height) >> 1, width, height };
  const raw = { width: info.width, height: info.height, channels: 3 };
  const view = await sharp(pixels, { raw })
    .resize(size[0], size[1], { kernel: "linear", fit: "fill" })
    .extract(cut)
    .raw()
    .toBuffer();
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const [slope, offset] = [1 / (255 * std[channel]), mean[channel] / std[channel]];
    for (let at = 0; at < plane; at++) values[channel * plane + at] = view[at * 3 + channel] * slope - offset;
  }
  const input = new ort.Tensor("float32", values, [1, 3, height, width]);
  const scores = Object.values(await session.run({ [session.inputNames[0]]: input }))[0].data;
  return labels[scores.indexOf(Math.max(...scores))];
}

function watermark({ width, height }) {
  const short = Math.min(width, height);
  const size = Math.round(short * 0.033);
  const rim = Math.max(1, Math.floor(size / 18));
  const [wide, high] = [Math.round(size * TEXT.length * 0.75), Math.round(size * 1.4)];
  const margin = Math.round(short * 0.028);
  const svg = `<svg width="${wide}" height="${high}"><text x="${wide - rim}" y="${size}" text-anchor="end"
    font-family="Noto Sans" font-weight="bold" font-size="${size}" fill="#fff" fill-opacity="0.88" stroke="#000"
    stroke-opacity="0.6" stroke-width="${rim}" paint-order="stroke">${TEXT}</text></svg>`;
  return { input: Buffer.from(svg), left: width - wide - margin, top: height - high - margin };
}

async function develop(source, target) {
  const { data, info } = await sharp(source, { sequentialRead: true })
    .autoOrient()
    .resize(SIDE, SIDE, { fit: "inside", withoutEnlargement: true })
    .toColourspace("srgb")
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const label = await classify(data, info);
  const picture = sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } });
  if (target.endsWith(".png")) await picture.toFile(target);
  else await picture.composite([watermark(info)]).jpeg({ quality: QUALITY }).toFile(target);
  return label;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [source, target] = line.split("\t");
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  const label = await develop(source, target);
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ label, wall: performance.now() - wall, cpu: (user + system) / 1000 }));
}
