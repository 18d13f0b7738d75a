// A file goes up in every kind of body that the openai package takes.

import { createReadStream, writeFileSync } from 'node:fs';
import { toFile } from 'openai';
import { heard, recording } from './bytes.mjs';

const SOUND = recording();
const NAME = 'recording.wav';
writeFileSync(NAME, SOUND);

const webStream = () => new Blob([SOUND]).stream();

/** Each makes a file anew: most can be read once. */
const kinds = {
  'a Buffer': () => toFile(SOUND, NAME),
  // it has no length that the SDK knows: versions 6 and 7 send it chunked
  'a file stream': () => createReadStream(NAME),
  'a File': () => new File([SOUND], NAME, { type: 'audio/wav' }),
  'a Blob': () => toFile(new Blob([SOUND]), NAME),
  'a web stream': () => toFile(new Response(webStream()), NAME),
  'an iterable': () => toFile(webStream(), NAME),
};

/** All of them cost one request. */
export const uploads = Object.fromEntries(
  Object.entries(kinds).map(([kind, file]) => [
    `upload of ${kind}`,
    async (client) => {
      const { text } = await client.audio.transcriptions.create({ model: 'whisper', file: await file() });
      return heard(text, SOUND);
    },
  ]),
);
