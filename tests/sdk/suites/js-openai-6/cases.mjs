// openai 6.49.0 for JavaScript: AzureOpenAI (`api-key`) and the plain OpenAI client on /openai/v1
// (`Authorization`). What both can do is done with both.

import { createReadStream, writeFileSync } from 'node:fs';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import { NEARLY_THE_KEY, WRONG_KEY, door, recording, azureAnswers, countingFetch, runAll, test } from './recorder.mjs';

const surfaces = {
  azure: (apiKey = door.openai_key, endpoint = door.openai) =>
    new AzureOpenAI({ endpoint, apiKey, apiVersion: '2024-10-21', fetch: countingFetch }),
  v1: (apiKey = door.openai_key, endpoint = door.openai) =>
    new OpenAI({ baseURL: `${endpoint}/openai/v1/`, apiKey, fetch: countingFetch }),
};

const messages = [{ role: 'user', content: 'Say hello.' }];
const noSuch = 'no-such-deployment';
writeFileSync('recording.wav', recording());

const chat = (client, body = {}, options = {}) =>
  client.chat.completions.create({ model: 'gpt-4o', messages, ...body }, options);
const embeddings = (client, model = 'text-embedding-3-small') =>
  client.embeddings.create({ model, input: ['one', 'two'] });
const transcription = (client, file) => client.audio.transcriptions.create({ model: 'whisper', file });
const upload = async (client) => transcription(client, await toFile(recording(), 'recording.wav'));
// a file stream has no length that the SDK knows: it goes out chunked
const chunkedUpload = (client) => transcription(client, createReadStream('recording.wav'));

const answer = ({ choices: [{ message, finish_reason }], usage }) => ({ text: message.content, finish_reason, usage });
// what a chunk adds to the text: Azure's first one has no choices, the last one no content
const told = (chunk) => chunk.choices.map((choice) => choice.delta?.content ?? '').join('');

async function stream(client, { most = Infinity, ...body } = {}) {
  const texts = [];
  const patience = { signal: AbortSignal.timeout(20_000) };
  for await (const chunk of await chat(client, { stream: true, ...body }, patience)) {
    texts.push(told(chunk));
    if (texts.length === most) break;
  }
  return texts;
}

const keys = {
  'wrong key': WRONG_KEY,
  'nearly the key': NEARLY_THE_KEY,
  "the search service's key": door.search_admin_key,
};
const operations = {
  chat,
  stream,
  embeddings,
  upload,
  'chunked upload': chunkedUpload,
  models: (client) => client.models.list(),
  'unknown deployment': (client) => chat(client, { model: noSuch }),
};

for (const [surface, connect] of Object.entries(surfaces)) {
  test(`${surface}: chat`, { requests: 1 }, async () => answer(await chat(connect())));
  test(`${surface}: chat, plain http`, { requests: 1 }, async () =>
    answer(await chat(connect(door.openai_key, door.openai_plain))));
  test(`${surface}: stream`, { requests: 1 }, async () => (await stream(connect())).join(''));
  test(`${surface}: stream, held up midway: what came so far is there`, { requests: 1 }, async () => {
    await azureAnswers('stall-mid-body');
    return stream(connect(), { most: 4 });
  });
  test(`${surface}: stream, cut midway`, { refused: 'TypeError', requests: 1 }, async () => {
    await azureAnswers('cut');
    await stream(connect());
  });
  test(`${surface}: embeddings`, { requests: 1 }, async () => (await embeddings(connect())).data);
  test(`${surface}: transcription of an upload`, { requests: 1 }, async () => (await upload(connect())).text);
  test(`${surface}: transcription of a chunked upload`, { requests: 1 }, async () =>
    (await chunkedUpload(connect())).text);
  test(`${surface}: models`, { requests: 1 }, async () => (await connect().models.list()).data.map(({ id }) => id));

  const refusedKey = { refused: 'AuthenticationError', requests: 1, forwarded: false };
  for (const [keyName, key] of Object.entries(keys)) {
    for (const [name, operation] of Object.entries(operations)) {
      test(`${surface}: ${keyName}: ${name}`, refusedKey, () => operation(connect(key)));
    }
  }
  for (const name of ['chat', 'upload']) {
    test(`${surface}: wrong key: ${name}, plain http`, refusedKey, () =>
      operations[name](connect(WRONG_KEY, door.openai_plain)));
  }

  const differs = "Azure's flat body is lost in this SDK; keyswap answers as to a wrong key";
  test(`${surface}: no key: chat`, { ...refusedKey, differs }, () =>
    chat(connect(), {}, { headers: { 'api-key': null, authorization: null } }));

  const unknown = { refused: 'NotFoundError', requests: 1 };
  test(`${surface}: unknown deployment: chat`, unknown, () => chat(connect(), { model: noSuch }));
  test(`${surface}: unknown deployment: stream`, unknown, () => stream(connect(), { model: noSuch }));
  test(`${surface}: unknown deployment: embeddings`, unknown, () => embeddings(connect(), noSuch));

  test(`${surface}: content filter`, { refused: 'BadRequestError', requests: 1 }, async () => {
    await azureAnswers('A1.13');
    return chat(connect());
  });
  test(`${surface}: rate limit`, { refused: 'RateLimitError', requests: 1 }, async () => {
    await azureAnswers('A1.12');
    return chat(connect(), {}, { maxRetries: 0 });
  });
  test(`${surface}: rate limit, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('A1.12', { retry_after: 1 });
    return answer(await chat(connect()));
  });
}

await runAll(({ status, code, type, param, message, error }) => ({ status, code, type, param, message, body: error }));
