// All cases of the AI SDK with @ai-sdk/azure, which looks at the host that it is sent to: on another than Azure's own
// the path is what it was told, so somebody has written /openai/v1, or asked for the URLs with deployments.

import { createAzure } from '@ai-sdk/azure';
import { long, operations, streamed, text } from './ai-operations.mjs';
import {
  AT_KEYSWAP, BAD_KEYS, WRONG_KEY, azureAnswers, brokenOff, countingFetch, door, runAll, test, waited,
} from './recorder.mjs';
import { onDemand, ownFaults } from './section-f.mjs';

const provider = (path, fixed) => ({ apiKey = door.openai_key, at = door.openai, ...more } = {}) =>
  createAzure({ baseURL: `${at}/openai${path}`, apiKey, fetch: countingFetch, ...fixed, ...more });

/** By name: how a provider is made, and what talks in it. */
const SURFACES = {
  'v1, responses': [provider('/v1'), (azure, model) => azure.responses(model)],
  'v1, chat': [provider('/v1'), (azure, model) => azure.chat(model)],
  deployments: [
    provider('', { useDeploymentBasedUrls: true, apiVersion: '2024-10-21' }),
    (azure, model) => azure.chat(model),
  ],
};
const MODEL = 'gpt-4o';

const exceptionOf = () => 'APICallError';

export async function runAI() {
  for (const [surface, [connect, talker]] of Object.entries(SURFACES)) {
    const run = (operation, options, model = MODEL, ...more) => {
      const azure = connect(options);
      return operation(azure, talker(azure, model), ...more);
    };
    works(surface, run);
    streaming(surface, run);
    refusesKeys(surface, run);
    brings(surface, run);
    rows(surface, run);
    repeats(surface, run);
  }
  await runAll(describe);
}

function works(surface, run) {
  for (const [name, operation] of Object.entries(operations)) {
    test(`${surface}: ${name}`, { requests: long.includes(name) ? 2 : 1 }, () => run(operation));
  }
  for (const name of ['text', 'text, streamed', 'transcription']) {
    test(`${surface}: ${name}, plain http`, { requests: 1, row: 'F-oai-plain' }, () =>
      run(operations[name], { at: door.openai_plain }));
  }
}

function streaming(surface, run) {
  // it stands still in the middle and never goes on: what came so far would be lost to who waits for more
  test(`${surface}: text: what comes is there at once`, { requests: 1 }, async () => {
    await azureAnswers('stall-mid-body');
    return run(streamed, {}, MODEL, 2);
  });
  test(`${surface}: text: cut midway`, { refused: 'BrokenOff', requests: 1 }, async () => {
    await azureAnswers('cut');
    await brokenOff(() => run(streamed));
  });
}

function refusesKeys(surface, run) {
  const refused = { refused: 'APICallError', requests: 1, forwarded: false, row: 'F-oai-key' };
  for (const [keyName, apiKey] of Object.entries(BAD_KEYS)) {
    for (const [name, operation] of Object.entries(operations)) {
      test(`${surface}: ${keyName}: ${name}`, refused, () => run(operation, { apiKey }));
    }
  }
  test(`${surface}: wrong key: text, plain http`, refused, () =>
    run(text, { apiKey: WRONG_KEY, at: door.openai_plain }));
}

/** The key twice, and a token in its place. */
function brings(surface, run) {
  const headers = { authorization: `Bearer ${door.openai_key}` };
  test(`${surface}: the key twice`, { requests: 1, row: 'F-oai-both' }, () => run(text, { headers }));

  const tokenProvider = async () => door.openai_token;
  const refused = { refused: 'APICallError', forwarded: false };
  const differs = 'tokens of clients pass only where a resource says so';
  const held = door.tokens_pass ? {} : { differs, ...(AT_KEYSWAP && refused) };
  test(`${surface}: a token of my own`, { requests: 1, row: 'F-oai-token', ...held }, () =>
    run(text, { apiKey: null, tokenProvider }));
}

function rows(surface, run) {
  const unknown = { refused: 'APICallError', requests: 1 };
  test(`${surface}: unknown deployment: text`, unknown, () => run(text, {}, 'no-such-deployment'));
  test(`${surface}: unknown deployment: stream`, unknown, () => run(streamed, {}, 'no-such-deployment'));
  const ask = () => run(text, {}, MODEL, { maxRetries: 0 });
  onDemand(surface, 'openai', { ask, exceptionOf });
  ownFaults(surface, 'openai', { ask, exceptionOf, tries: 1 });
}

function repeats(surface, run) {
  test(`${surface}: rate limit, then an answer`, { requests: 2 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 700 });
    return { said: await run(text), obeyed: waited(700) };
  });
  // it waits for seconds before it asks again: that is seen once
  if (surface !== 'deployments') return;
  test(`${surface}: rate limit that does not end`, { refused: 'RetryError', requests: 3 }, async () => {
    await azureAnswers('A1.12', { retry_after: 30, retry_after_ms: 1, times: 9 });
    await run(text);
  });
  const told = { refused: 'RetryError', requests: 3, differs: 'a gateway can say what became of Azure' };
  if (door.nobody) {
    test(`${surface}: nobody listens`, { ...told, alive: false, row: 'F-oai-dead' }, () =>
      run(text, { apiKey: door.stranded_key, at: door.nobody }));
  }
  for (const [name, fault] of Object.entries({ closed: 'close', reset: 'reset' })) {
    test(`${surface}: ${name} before any answer`, { ...told, replayed: 3, row: 'F-oai-lost' }, async () => {
      await azureAnswers(fault, { times: 9 });
      await run(text);
    });
  }
}

/** What an application can see of these exceptions. */
function describe({ message, statusCode, responseBody, isRetryable, reason, lastError }) {
  const last = lastError && describe(lastError);
  return { message, status: statusCode, body: responseBody, isRetryable, reason, last };
}
