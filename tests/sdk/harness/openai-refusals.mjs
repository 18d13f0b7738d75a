// Who may not, who brings a key in an odd place, and what else Azure says instead of an answer: section F.

import { exceptionOf, keyless } from './openai-clients.mjs';
import { answer, chat, embeddings } from './openai-inference.mjs';
import { AT_KEYSWAP, BAD_KEYS, WRONG_KEY, door, test } from './recorder.mjs';
import { onDemand, ownFaults } from './section-f.mjs';

const REFUSED = { refused: 'AuthenticationError', requests: 1, forwarded: false };
const noSuch = { model: 'no-such-deployment' };

/** A key that is not good enough costs one request, whatever it was for. */
export function refusesKeys(surface, connect, operations) {
  const refused = { ...REFUSED, row: 'F-oai-key' };
  for (const [keyName, apiKey] of Object.entries(BAD_KEYS)) {
    for (const [name, operation] of Object.entries(operations)) {
      test(`${surface}: ${keyName}: ${name}`, refused, () => operation(connect({ apiKey })));
    }
    test(`${surface}: ${keyName}: unknown deployment`, refused, () => chat(connect({ apiKey }), noSuch));
  }
  for (const name of ['chat', 'upload of a Buffer', 'upload of a file stream']) {
    test(`${surface}: wrong key: ${name}, plain http`, refused, () =>
      operations[name](connect({ apiKey: WRONG_KEY, endpoint: door.openai_plain })));
  }
}

/** No key, the key twice or where tokens are, a token, and a key that may not do all. */
export function brings(surface, connect) {
  const ask = async (headers, options) => answer(await chat(connect(options), {}, { headers }));
  const bearer = `Bearer ${door.openai_key}`;

  if (keyless(surface)) {
    const differs = "without a key Azure's body is flat, which some SDKs lose; keyswap answers as to a wrong key";
    test(`${surface}: no key`, { ...REFUSED, row: 'F-oai-none', differs }, () => ask(keyless(surface)));
    const expected = { requests: 1, row: 'F-oai-bearer' };
    if (surface === 'azure') {
      expected.differs = 'Azure takes a key from Authorization on /openai/v1 alone; keyswap everywhere';
      expected.refused = AT_KEYSWAP ? null : 'AuthenticationError';
    }
    test(`${surface}: the key in Authorization alone`, expected, () =>
      ask({ ...keyless(surface), authorization: bearer }));
  }
  test(`${surface}: the key twice`, { requests: 1, row: 'F-oai-both' }, () =>
    ask({ 'api-key': door.openai_key, authorization: bearer }));

  const own = {
    azure: { apiKey: null, azureADTokenProvider: async () => door.openai_token },
    v1: { apiKey: door.openai_token },
  }[surface];
  const differs = 'tokens of clients pass only where a resource says so';
  const held = door.tokens_pass ? {} : { differs, ...(AT_KEYSWAP && REFUSED) };
  test(`${surface}: a token of my own`, { requests: 1, row: 'F-oai-token', ...held }, () => ask({}, own));

  if (door.limited_key) limited(surface, () => connect({ apiKey: door.limited_key }));
}

/** A key that is granted inference alone, and is Azure's own at the other door. */
function limited(surface, connect) {
  test(`${surface}: limited key: chat`, { requests: 1 }, async () => answer(await chat(connect())));
  const refused = AT_KEYSWAP ? 'PermissionDeniedError' : null;
  const differs = "a key of keyswap's may do as much as it was granted, one of Azure's everything";
  test(`${surface}: limited key: files`, { refused, requests: 1, forwarded: false, differs }, async () =>
    (await connect().files.list({ limit: 1 })).data.length);
}

const NO_SUCH = 'no-such-thing';

/** What is not there. */
const missing = {
  file: (client) => client.files.retrieve(NO_SUCH),
  'content of a file': (client) => client.files.content(NO_SUCH),
  batch: (client) => client.batches.retrieve(NO_SUCH),
  'fine-tuning job': (client) => client.fineTuning.jobs.retrieve(NO_SUCH),
  'vector store': (client) => client.vectorStores.retrieve(NO_SUCH),
  response: (client) => client.responses.retrieve(NO_SUCH),
};

/** What Azure says instead of an answer. */
export function rows(surface, connect) {
  const unknown = { refused: 'NotFoundError', requests: 1 };
  for (const [name, operation] of Object.entries(missing)) {
    test(`${surface}: no such ${name}`, unknown, () => operation(connect()));
  }
  test(`${surface}: unknown deployment: chat`, unknown, () => chat(connect(), noSuch));
  test(`${surface}: unknown deployment: stream`, unknown, () => chat(connect(), { ...noSuch, stream: true }));
  test(`${surface}: unknown deployment: embeddings`, unknown, () => embeddings(connect(), noSuch));
  onDemand(surface, 'openai', { ask: () => chat(connect({ maxRetries: 0 })), exceptionOf });
  ownFaults(surface, 'openai', { ask: () => chat(connect()), exceptionOf, tries: 1 });
}
