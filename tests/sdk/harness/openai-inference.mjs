// What the openai package asks of models, by name. Each operation takes a client and gives what Azure decides.

import { toFile } from 'openai';
import { heard, recording, sha256 } from './bytes.mjs';

export const MODEL = 'gpt-4o';
const messages = [{ role: 'user', content: 'Say hello.' }];

export const chat = (client, body = {}, options = {}) =>
  client.chat.completions.create({ model: MODEL, messages, ...body }, options);
export const embeddings = (client, body = {}) =>
  client.embeddings.create({ model: 'text-embedding-3-small', input: ['one', 'two'], ...body });
const completions = (client, body = {}) =>
  client.completions.create({ model: 'gpt-35-turbo-instruct', prompt: 'Say hello.', ...body });
const image = (client, body) => client.images.generate({ model: 'dall-e-3', prompt: 'a harbour', ...body });
const SOUND = recording(1);
const sound = () => toFile(SOUND, 'recording.wav');
const transcription = async (client, body = {}) =>
  client.audio.transcriptions.create({ model: 'whisper', file: await sound(), ...body });

export const answer = ({ choices: [{ message, finish_reason }], usage }) => ({
  text: message.content, finish_reason, usage,
});

/** What a chunk adds to the text: Azure's first one has no choices, the last one no content. */
const told = ({ choices }) => choices.map(({ delta, text }) => text ?? delta?.content ?? '').join('');

/** The texts of a stream as they come, at most so many. */
export async function texts(stream, most = Infinity) {
  const heard = [];
  for await (const chunk of await stream) {
    heard.push(told(chunk));
    if (heard.length === most) break;
  }
  return heard;
}

const tool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};
const shape = {
  name: 'greeting',
  strict: true,
  schema: {
    type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false,
  },
};

/** Streams, each as what asks for it. */
export const streams = {
  chat: (client) => chat(client, { stream: true }),
  completions: (client) => completions(client, { stream: true }),
};

/** All of them cost one request. */
export const inference = {
  chat: async (client) => answer(await chat(client)),
  'chat with parts': async (client) =>
    answer(await chat(client, { messages: [{ role: 'user', content: [{ type: 'text', text: 'Grüße 👋' }] }] })),
  'chat with a tool': async (client) => {
    const { choices } = await chat(client, { tools: [tool], tool_choice: 'required' });
    return choices.map(({ message, finish_reason }) => ({
      finish_reason, calls: message.tool_calls?.map((call) => call.function),
    }));
  },
  'chat in a shape': async (client) =>
    answer(await chat(client, { response_format: { type: 'json_schema', json_schema: shape } })),
  'chat, streamed': async (client) => (await texts(streams.chat(client))).join(''),
  'chat, streamed with its usage': async (client) => {
    const usages = [];
    for await (const { usage } of await chat(client, { stream: true, stream_options: { include_usage: true } })) {
      usages.push(usage);
    }
    return usages;
  },
  completions: async (client) => (await completions(client)).choices.map(({ text }) => text),
  'completions, streamed': async (client) => (await texts(streams.completions(client))).join(''),
  embeddings: async (client) => (await embeddings(client)).data,
  'embeddings as numbers': async (client) => (await embeddings(client, { encoding_format: 'float' })).data,
  transcription: async (client) => heard((await transcription(client)).text, SOUND),
  'transcription, verbose': async (client) => {
    const { segments, language } = await transcription(client, { response_format: 'verbose_json' });
    return { segments, language };
  },
  'transcription as subtitles': async (client) =>
    heard(await transcription(client, { response_format: 'srt' }), SOUND),
  translation: async (client) =>
    heard((await client.audio.translations.create({ model: 'whisper', file: await sound() })).text, SOUND),
  speech: async (client) => {
    const spoken = await client.audio.speech.create({ model: 'tts', voice: 'alloy', input: 'Grüße' });
    return { type: spoken.headers.get('content-type'), sha256: sha256(Buffer.from(await spoken.arrayBuffer())) };
  },
  'image as a link': async (client) => (await image(client)).data.map(({ revised_prompt }) => revised_prompt),
  'image as bytes': async (client) =>
    (await image(client, { response_format: 'b64_json' })).data.map(({ b64_json }) => sha256(b64_json)),
  'image edit': async (client) => {
    const file = await toFile(Buffer.from('a picture'), 'picture.png', { type: 'image/png' });
    const wanted = { model: 'dall-e-3', prompt: 'more boats', response_format: 'b64_json' };
    const edited = await client.images.edit({ ...wanted, image: file });
    return edited.data.map(({ b64_json }) => sha256(b64_json));
  },
  models: async (client) => {
    const names = [];
    for await (const { id } of client.models.list()) names.push(id);
    return names;
  },
  'one model': async (client) => (await client.models.retrieve(MODEL)).id,
};
