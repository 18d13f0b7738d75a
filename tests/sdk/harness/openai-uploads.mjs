// A file goes up in every kind of body that the openai package takes.

import { createReadStream, writeFileSync } from 'node:fs';
import { toFile } from 'openai';
import { recording } from './recorder.mjs';

writeFileSync('recording.wav', recording());

const NAME = 'recording.wav';
const webStream = () => new Blob([recording()]).stream();

/** Each makes a file anew: most can be read once. The answer tells the size and the digest of what came. */
const kinds = {
  'a Buffer': () => toFile(recording(), NAME),
  // it has no length that the SDK knows: versions 6 and 7 send it chunked
  'a file stream': () => createReadStream(NAME),
  'a File': () => new File([recording()], NAME, { type: 'audio/wav' }),
  'a Blob': () => toFile(new Blob([recording()]), NAME),
  'a web stream': () => toFile(new Response(webStream()), NAME),
  'an iterable': () => toFile(webStream(), NAME),
};

/** All of them cost one request. */
export const uploads = Object.fromEntries(
  Object.entries(kinds).map(([kind, file]) => [
    `upload of ${kind}`,
    async (client) => (await client.audio.transcriptions.create({ model: 'whisper', file: await file() })).text,
  ]),
);
