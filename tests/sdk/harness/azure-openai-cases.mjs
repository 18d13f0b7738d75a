// All cases of @azure/openai, which was a package of its own for a while: it has Azure's operations under other names,
// no /openai/v1, and no realtime. Its versions differ in how they stream and in how they make images.

import { AzureKeyCredential, OpenAIClient } from '@azure/openai';
import { KEYLESS, OPTIONS, describe } from './azure-core.mjs';
import { heard, recording } from './bytes.mjs';
import {
  AT_KEYSWAP, BAD_KEYS, WRONG_KEY, azureAnswers, brokenOff, door, runAll, test, waited,
} from './recorder.mjs';
import { onDemand, ownFaults } from './section-f.mjs';

const MODEL = 'gpt-4o';
const messages = [{ role: 'user', content: 'Say hello, Grüße.' }];
const SOUND = recording();
const NO_SUCH = 'no-such-deployment';

const connect = (key = door.openai_key, endpoint = door.openai, options = {}) =>
  new OpenAIClient(endpoint, new AzureKeyCredential(key), { ...OPTIONS, ...options });

const chat = (client, model = MODEL) => client.getChatCompletions(model, messages);
const answer = ({ choices, usage }) => [usage, choices.map(({ message, finishReason }) => [message, finishReason])];
const told = ({ choices }) => choices.map(({ delta, text }) => text ?? delta?.content ?? '').join('');

async function texts(stream, most = Infinity) {
  const heard = [];
  for await (const chunk of await stream) {
    heard.push(told(chunk));
    if (heard.length === most) break;
  }
  return heard;
}

const weather = {
  name: 'weather',
  parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
};

/** Each costs one request. */
const single = {
  chat: async (client) => answer(await chat(client)),
  'chat with a function': async (client) => {
    const options = { functions: [weather], functionCall: { name: 'weather' } };
    return answer(await client.getChatCompletions(MODEL, messages, options));
  },
  completions: async (client) => {
    const { choices, usage } = await client.getCompletions('gpt-35-turbo-instruct', ['Say hello.']);
    return [choices.map(({ text }) => text), usage];
  },
  embeddings: async (client) => (await client.getEmbeddings('text-embedding-3-small', ['one', 'two'])).data,
  transcription: async (client) => heard((await client.getAudioTranscription('whisper', SOUND)).text, SOUND),
  'transcription, verbose': (client) => client.getAudioTranscription('whisper', SOUND, 'verbose_json'),
  'transcription as subtitles': (client) => client.getAudioTranscription('whisper', SOUND, 'srt'),
  translation: async (client) => heard((await client.getAudioTranslation('whisper', SOUND)).text, SOUND),
};

/** It throws what it finds in `error`; what is no JSON, or flat, is lost. */
const REFUSED = 'Object';
const LOST = ['A1.2', 'H3-408', 'H3-413', 'A-503-html'];
const exceptionOf = (_, row) => (LOST.includes(row) ? 'undefined' : REFUSED);

/**
 * Registers and runs them.
 *
 * streamed: by name, what opens a stream: takes a client and a deployment
 * images: what makes images, and how many requests they cost
 */
export async function runAzureOpenAI({ streamed, images }) {
  const operations = { ...single, images: images.make };
  for (const [name, open] of Object.entries(streamed)) {
    operations[`${name}, streamed`] = async (client) => (await texts(open(client))).join('');
  }

  for (const [name, operation] of Object.entries(operations)) {
    test(name, { requests: name === 'images' ? images.requests : 1 }, () => operation(connect()));
    for (const [keyName, key] of Object.entries(BAD_KEYS)) {
      const refused = { refused: REFUSED, requests: 1, forwarded: false, row: 'F-oai-key' };
      test(`${keyName}: ${name}`, refused, () => operation(connect(key)));
    }
  }
  for (const [name, open] of Object.entries(streamed)) streaming(name, open);
  const unknown = { refused: REFUSED, requests: 1 };
  test('unknown deployment: chat', unknown, () => chat(connect(), NO_SUCH));
  test('unknown deployment: stream', unknown, () => texts(streamed.chat(connect(), NO_SUCH)));

  brings();
  const once = { retryOptions: { maxRetries: 0 } };
  onDemand('chat', 'openai', { ask: () => chat(connect(door.openai_key, door.openai, once)), exceptionOf });
  ownFaults('chat', 'openai', { ask: () => chat(connect()), exceptionOf, tries: 4 });
  repeats();
  await runAll(describe);
}

/** A plain connection, no key, a token. */
function brings() {
  const plain = { allowInsecureConnection: true };
  test('chat, plain http', { requests: 1, row: 'F-oai-plain' }, async () =>
    answer(await chat(connect(door.openai_key, door.openai_plain, plain))));

  const refused = { refused: REFUSED, requests: 1, forwarded: false };
  const lost = "without a key Azure's body is flat, which some SDKs lose; keyswap answers as to a wrong key";
  const none = { ...refused, refused: AT_KEYSWAP ? REFUSED : 'undefined', row: 'F-oai-none', differs: lost };
  test('no key', none, () => chat(connect(door.openai_key, door.openai, KEYLESS)));

  const differs = 'tokens of clients pass only where a resource says so';
  const held = door.tokens_pass ? {} : { differs, ...(AT_KEYSWAP && refused) };
  test('a token of my own', { requests: 1, row: 'F-oai-token', ...held }, async () => {
    const getToken = async () => ({ token: door.openai_token, expiresOnTimestamp: Date.now() + 600_000 });
    return answer(await chat(new OpenAIClient(door.openai, { getToken }, OPTIONS)));
  });
}

function streaming(name, open) {
  // it stands still in the middle and never goes on: what came so far would be lost to who waits for more
  test(`${name}: what comes is there at once`, { requests: 1 }, async () => {
    await azureAnswers('stall-mid-body');
    return texts(open(connect()), 2);
  });
  test(`${name}: cut midway`, { refused: 'BrokenOff', requests: 1 }, async () => {
    await azureAnswers('cut');
    await brokenOff(() => texts(open(connect())));
  });
}

const TOLD = {
  refused: AT_KEYSWAP ? REFUSED : 'RestError',
  differs: 'a gateway can say what became of Azure',
};

function repeats() {
  test('rate limit, then an answer', { requests: 2 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 700 });
    const said = answer(await chat(connect()));
    return { said, obeyed: waited(700) };
  });
  test('rate limit that does not end', { refused: REFUSED, requests: 4 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 1, times: 9 });
    await chat(connect());
  });
  test('model breaks, then an answer', { requests: 2 }, async () => {
    await azureAnswers('500');
    return answer(await chat(connect()));
  });
  if (door.nobody) {
    test('nobody listens', { requests: 4, alive: false, row: 'F-oai-dead', ...TOLD }, () =>
      chat(connect(door.stranded_key, door.nobody)));
  }
  for (const [name, fault] of Object.entries({ closed: 'close', reset: 'reset' })) {
    test(`${name} before any answer`, { requests: 4, row: 'F-oai-lost', replayed: 4, ...TOLD }, async () => {
      await azureAnswers(fault, { times: 9 });
      await chat(connect());
    });
  }
}
