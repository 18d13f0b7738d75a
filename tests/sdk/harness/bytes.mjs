// Bytes to send, and what tells them apart.

import { createHash } from 'node:crypto';

/** A WAV file of some 300 kB, as if somebody had recorded it. */
export function recording(seconds = 10) {
  const samples = Buffer.alloc(2 * 16_000 * seconds, Buffer.from(Array.from({ length: 251 }, (_, n) => (7 * n) % 251)));
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20); // PCM
  head.writeUInt16LE(1, 22); // one channel
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Fails unless a transcript tells of exactly these bytes; gives it. */
export function heard(transcript, bytes) {
  const told = `${bytes.length} bytes, sha256 ${sha256(bytes)}.`;
  if (!transcript.includes(told)) throw new Error(`it heard ${transcript}`);
  return transcript;
}
