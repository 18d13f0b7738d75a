// All cases of the openai package. Its versions differ in how they count, in where realtime is, and in a few exceptions.

import { describe, exceptionOf, surfaces } from './openai-clients.mjs';
import { assisted } from './openai-assistants.mjs';
import { MODEL, answer, chat, embeddings, inference, streams, texts } from './openai-inference.mjs';
import { missing, stored, streamedResponse, told } from './openai-stored.mjs';
import { uploads } from './openai-uploads.mjs';
import { overRealtime } from './realtime.mjs';
import { AT_KEYSWAP, NEARLY_THE_KEY, WRONG_KEY, azureAnswers, door, pauses, runAll, test } from './recorder.mjs';
import { onDemand } from './section-f.mjs';

const KEYS = {
  'wrong key': WRONG_KEY,
  'nearly the key': NEARLY_THE_KEY,
  "the search service's key": door.search_admin_key,
};
const operations = { ...inference, ...uploads, ...stored, ...assisted };
const costsOne = { ...inference, ...uploads, 'responses, streamed': null, 'responses in a shape': null };
const noSuch = { model: 'no-such-deployment' };
const once = { maxRetries: 0 };

/** What is heard of a stream that never goes on after its half. */
const heldUp = {
  chat: (client) => texts(streams.chat(client), 4),
  completions: (client) => texts(streams.completions(client), 3),
  responses: (client) => told(streamedResponse(client), 3),
};

/**
 * Registers and runs them.
 *
 * counting: the options that make clients of this version count their requests
 * cutStream: the class of the exception when a stream breaks off
 * realtime: the SDK's transports, by name
 */
export async function runOpenAI({ counting, cutStream, realtime }) {
  for (const [surface, connect] of Object.entries(surfaces(counting))) {
    works(surface, connect);
    streaming(surface, connect, cutStream);
    refusesKeys(surface, connect);
    errors(surface, connect);
    repeats(surface, connect);
    for (const [transport, Realtime] of Object.entries(realtime)) {
      const opened = {
        azure: (client, deploymentName) => Realtime.azure(client, { deploymentName }),
        v1: (client, model) => new Realtime({ model }, client),
      }[surface];
      overRealtime(`${surface}, ${transport}`, { connect: (apiKey, model) => opened(connect({ apiKey }), model) });
    }
  }
  await runAll(describe);
}

function works(surface, connect) {
  for (const [name, operation] of Object.entries(operations)) {
    test(`${surface}: ${name}`, { requests: name in costsOne ? 1 : null }, () => operation(connect()));
  }
  test(`${surface}: chat, plain http`, { requests: 1, row: 'F-oai-plain' }, () =>
    inference.chat(connect({ endpoint: door.openai_plain })));
  test(`${surface}: upload, plain http`, { requests: 1, row: 'F-oai-plain' }, () =>
    uploads['upload of a file stream'](connect({ endpoint: door.openai_plain })));
}

function streaming(surface, connect, cutStream) {
  for (const [name, listen] of Object.entries(heldUp)) {
    test(`${surface}: ${name}: what comes is there at once`, { requests: 1 }, async () => {
      await azureAnswers('stall-mid-body');
      return listen(connect());
    });
    test(`${surface}: ${name}: cut midway`, { refused: cutStream, requests: 1 }, async () => {
      await azureAnswers('cut');
      // more than come: it reads on until the cut
      await (name === 'responses' ? told(streamedResponse(connect())) : texts(streams[name](connect())));
    });
  }
}

function refusesKeys(surface, connect) {
  const refused = { refused: 'AuthenticationError', requests: 1, forwarded: false, row: 'F-oai-key' };
  for (const [keyName, apiKey] of Object.entries(KEYS)) {
    for (const [name, operation] of Object.entries(operations)) {
      test(`${surface}: ${keyName}: ${name}`, refused, () => operation(connect({ apiKey })));
    }
  }
  for (const name of ['chat', 'upload of a Buffer', 'upload of a file stream']) {
    test(`${surface}: wrong key: ${name}, plain http`, refused, () =>
      operations[name](connect({ apiKey: WRONG_KEY, endpoint: door.openai_plain })));
  }
  const differs = "Azure's flat body is lost in this SDK; keyswap answers as to a wrong key";
  test(`${surface}: no key: chat`, { ...refused, row: 'F-oai-none', differs }, () =>
    chat(connect(), {}, { headers: { 'api-key': null, authorization: null } }));
}

function errors(surface, connect) {
  const unknown = { refused: 'NotFoundError', requests: 1 };
  test(`${surface}: unknown deployment: chat`, unknown, () => chat(connect(), noSuch));
  test(`${surface}: unknown deployment: stream`, unknown, () => chat(connect(), { ...noSuch, stream: true }));
  test(`${surface}: unknown deployment: embeddings`, unknown, () => embeddings(connect(), noSuch));
  for (const [name, operation] of Object.entries(missing)) {
    test(`${surface}: no such ${name}`, unknown, () => operation(connect()));
  }
  onDemand(surface, 'openai', { ask: () => chat(connect(once)), exceptionOf });
}

function repeats(surface, connect) {
  const ask = async (options) => answer(await chat(connect(options)));
  test(`${surface}: rate limit, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('A1.12', { retry_after_ms: 300, retry_after: 30 });
    const said = await ask();
    const [pause] = pauses();
    return { said, obeyed: pause >= 300 && pause < 5000 };
  });
  test(`${surface}: rate limit that does not end`, { refused: 'RateLimitError', requests: 3 }, async () => {
    await azureAnswers('A1.12', { retry_after_ms: 1, times: 9 });
    await ask();
  });
  test(`${surface}: unavailable, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('503');
    return ask();
  });
}
