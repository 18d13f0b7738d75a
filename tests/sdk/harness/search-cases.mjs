// All cases of @azure/search-documents. Its versions differ in what they have, and in what they make of an empty body.

import { KEYLESS, describe } from './azure-core.mjs';
import { AT_KEYSWAP, WRONG_KEY, azureAnswers, door, nearly, runAll, test, waited } from './recorder.mjs';
import { ADMIN, INDEX, QUERY, all, documents, indexers, indexes } from './search-clients.mjs';
import {
  DOCUMENTS, NO_SUCH, buffered, count, createIndex, deleteIndex, everyAction, forAdmins, getIndex, lookup, pages,
  queries, reads, resumed, search, updateIndexThatChanged, upload,
} from './search-documents.mjs';
import { objects } from './search-objects.mjs';
import { onDemand, ownFaults } from './section-f.mjs';

const one = { requests: 1 };
const REFUSED = { refused: 'RestError', requests: 1, forwarded: false };
const FAILED = { refused: 'RestError', requests: 1 };
const PLAIN = { allowInsecureConnection: true };

/**
 * Registers and runs them.
 *
 * emptied: the class of the exception for an error without a body
 */
export async function runSearch({ emptied }) {
  const exceptionOf = (_, row) => (['B-413', 'B1.4', 'B1.6'].includes(row) ? emptied : 'RestError');

  test('create index', one, () => createIndex());
  test('create index again', FAILED, () => createIndex());
  test('update index that somebody changed', { ...FAILED, requests: 2 }, updateIndexThatChanged);
  test('upload', one, () => upload());
  for (const [name, operation] of Object.entries(forAdmins)) {
    // they make another index, or end this one
    if (!['create index', 'delete index'].includes(name)) test(`${name}, as an admin`, one, () => operation(ADMIN));
  }
  test('every action in a batch', { ...one, row: 'B1.17' }, everyAction);
  test('buffered', {}, buffered);
  readsAll();
  for (const [name, story] of Object.entries(objects)) test(name, {}, () => story());
  refusesKeys(emptied);
  test('unknown index: search', FAILED, () => search(QUERY, '*', {}, { index: NO_SUCH }));
  test('unknown index: get index', FAILED, () => getIndex(ADMIN, NO_SUCH));
  test('unknown indexer', FAILED, () => indexers().getIndexer('no-such-indexer'));
  test('missing document', { refused: emptied, ...one, row: 'H15' }, () => lookup(QUERY, 'no-such-document'));
  test('malformed filter', FAILED, () => search(QUERY, '*', { filter: 'rating is good' }));

  const ask = (options) => search(QUERY, 'harbour', { top: 3 }, options);
  onDemand('search', 'search', { ask: () => ask({ retryOptions: { maxRetries: 0 } }), exceptionOf });
  ownFaults('search', 'search', { ask, exceptionOf, tries: 4 });
  repeats(ask);
  test('delete index', one, () => deleteIndex());
  test('the index is gone', FAILED, () => getIndex());
  await runAll((error) => ({ ...describe(error), details: error?.details }));
}

function readsAll() {
  for (const [name, operation] of Object.entries(reads)) test(name, one, () => operation(QUERY));
  for (const [name, query] of Object.entries(queries)) test(`search: ${name}`, one, () => search(QUERY, ...query));
  test('search with paging', {}, pages);
  test('search, resumed by a continuation token', {}, resumed);
  test('count, plain http', { ...one, row: 'F-ais-plain' }, () => count(QUERY, door.search_plain, PLAIN));
}

function refusesKeys(emptied) {
  const writes = { ...forAdmins, ...objects };
  const refusals = {
    'wrong key': [WRONG_KEY, { ...reads, ...writes }, 'F-ais-key'],
    'nearly the key': [nearly(ADMIN), { ...reads, ...writes }, 'F-ais-key'],
    "Azure OpenAI's key": [door.openai_key, { ...reads, ...writes }, 'F-ais-key'],
    'query key': [QUERY, writes, 'F-ais-query'],
  };
  for (const [keyName, [key, operations, row]] of Object.entries(refusals)) {
    for (const [name, operation] of Object.entries(operations)) {
      test(`${keyName}: ${name}`, { ...REFUSED, row }, () => operation(key));
    }
  }
  test('wrong key: count, plain http', { ...REFUSED, row: 'F-ais-key' }, () =>
    count(WRONG_KEY, door.search_plain, PLAIN));

  const differs = "without a key Azure's answer has no body, which breaks some SDKs; keyswap's is that to a wrong key";
  const none = { ...REFUSED, refused: AT_KEYSWAP ? 'RestError' : emptied, row: 'F-ais-none', differs };
  test('no key', none, () => documents(KEYLESS).getDocumentsCount());

  test('nothing was written by those who may not', { requests: 2 }, async () => {
    const [left, names] = [await count(), await all(indexes().listIndexesNames())];
    return [left === DOCUMENTS.length - 1, names.includes(`${INDEX}-refused`)];
  });
}

function repeats(ask) {
  for (const answer of ['B1.14', 'B1.14-429']) {
    test(`${answer}: throttled, then an answer`, { requests: 2 }, async () => {
      await azureAnswers(answer, { plane: 'search', retry_after: 1 });
      const { found } = await ask();
      return { found, obeyed: waited(1000) };
    });
  }
  test('throttled for too long', { ...FAILED, requests: 4 }, async () => {
    await azureAnswers('B1.14', { plane: 'search', retry_after: 0, times: 9 });
    await ask();
  });
  test('too many requests, and not told for how long', FAILED, async () => {
    await azureAnswers('B1.14-429', { plane: 'search', times: 9 });
    await ask();
  });
  test('service breaks, then an answer', { requests: 2 }, async () => {
    await azureAnswers('500', { plane: 'search' });
    return ask();
  });

  const told = { refused: 'RestError', requests: 4, differs: 'a gateway can say what became of Azure' };
  if (door.nobody) {
    const dead = { key: door.stranded_key, at: door.nobody };
    test('nobody listens: search', { ...told, alive: false, row: 'F-ais-dead' }, async () =>
      all((await documents(dead).search('harbour')).results));
    test('nobody listens: count', { ...told, alive: false, row: 'F-ais-dead' }, () =>
      documents(dead).getDocumentsCount());
  }
  for (const [name, fault] of Object.entries({ closed: 'close', reset: 'reset' })) {
    test(`${name} before any answer`, { ...told, replayed: 4, row: 'F-ais-lost' }, async () => {
      await azureAnswers(fault, { plane: 'search', times: 9 });
      await ask();
    });
  }
}
