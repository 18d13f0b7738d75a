// One index of @azure/search-documents: its definition, what is written into it, and all ways to read it. Each
// operation takes the key that it is done with, and costs one request.

import { IndexDocumentsBatch, SearchIndexingBufferedSender, odata } from '@azure/search-documents';
import { door } from './recorder.mjs';
import { ADMIN, INDEX, QUERY, all, documents, indexes, shown } from './search-clients.mjs';

export const NO_SUCH = 'no-such-index';
export const DOCUMENTS = Array.from({ length: 120 }, (_, n) => ({
  id: String(n).padStart(3, '0'),
  name: `Harbour view ${n} ✓`,
  rating: n % 5,
  place: [n / 120, 1 - n / 120, 0.5],
}));

const definition = (name = INDEX) => ({
  name,
  fields: [
    { name: 'id', type: 'Edm.String', key: true, sortable: true },
    { name: 'name', type: 'Edm.String', searchable: true },
    { name: 'rating', type: 'Edm.Int32', filterable: true, sortable: true, facetable: true },
    {
      name: 'place',
      type: 'Collection(Edm.Single)',
      searchable: true,
      vectorSearchDimensions: 3,
      vectorSearchProfileName: 'near',
    },
  ],
  suggesters: [{ name: 'sg', searchMode: 'analyzingInfixMatching', sourceFields: ['name'] }],
  vectorSearch: {
    profiles: [{ name: 'near', algorithmConfigurationName: 'hnsw' }],
    algorithms: [{ name: 'hnsw', kind: 'hnsw' }],
  },
  semanticSearch: {
    configurations: [{ name: 'meaning', prioritizedFields: { titleField: { name: 'name' } } }],
  },
});

export const createIndex = async (key = ADMIN) => shown(await indexes(key).createIndex(definition()));
export const deleteIndex = async (key = ADMIN) => (await indexes(key).deleteIndex(INDEX)) ?? null;
export const getIndex = async (key = ADMIN, name = INDEX) => shown(await indexes(key).getIndex(name));

export async function updateIndexThatChanged() {
  const seen = await indexes().getIndex(INDEX);
  await indexes().createOrUpdateIndex({ ...seen, etag: '"0x8D0000000000000"' }, { onlyIfUnchanged: true });
}

const written = ({ results }) => results.map(({ key, succeeded, statusCode }) => [key, succeeded, statusCode]);
export const upload = async (key = ADMIN, some = DOCUMENTS) => written(await documents({ key }).uploadDocuments(some));

/** Every action in one batch, of which not each succeeds. */
export async function everyAction() {
  const batch = new IndexDocumentsBatch();
  batch.upload([{ id: '200', name: 'Quay', rating: 1 }]);
  batch.merge([{ id: 'no-such-document', rating: 1 }]);
  batch.mergeOrUpload([{ id: '201', name: 'Pier', rating: 2 }]);
  batch.delete([{ id: '200' }, { id: '201' }]);
  return written(await documents({ key: ADMIN }).indexDocuments(batch));
}

/** Gathered, and sent together. */
export async function buffered() {
  const sender = new SearchIndexingBufferedSender(documents({ key: ADMIN }), ({ id }) => id, { autoFlush: false });
  const told = [];
  sender.on('batchSucceeded', (result) => told.push(written(result)));
  sender.on('batchFailed', (error) => told.push(String(error)));
  await sender.uploadDocuments([{ id: '300', name: 'Mole', rating: 1 }, { id: '301', name: 'Dock', rating: 1 }]);
  await sender.mergeDocuments([{ id: '302', name: 'none', rating: 2 }]);
  await sender.flush();
  await sender.deleteDocuments([{ id: '300' }, { id: '301' }]);
  await sender.flush();
  await sender.dispose();
  return told;
}

export async function search(key = QUERY, text = 'harbour', query = {}, { index, ...options } = {}) {
  const { results, count, facets, coverage, answers } = await documents({ key, index, ...options }).search(text, query);
  const found = await all(results);
  return shown({ count, facets, coverage, answers, found });
}

/** The pages of everything, which the SDK turns by itself. */
export async function pages() {
  const { results, count } = await documents().search('harbour', { orderBy: ['id'], includeTotalCount: true });
  const pages = [];
  for await (const page of results.byPage()) pages.push(page.results.map(({ document }) => document.id));
  if (pages.length < 2) throw new Error('the service answered in one page');
  if (new Set(pages.flat()).size !== DOCUMENTS.length - 1) throw new Error('documents are missing or doubled');
  return { count, pages };
}

export async function resumed() {
  const ask = async () => (await documents().search('harbour', { orderBy: ['id'] })).results;
  const { value: page } = await (await ask()).byPage().next();
  const { value: next } = await (await ask()).byPage({ continuationToken: page.continuationToken }).next();
  return next.results.map(({ document }) => document.id);
}

export const count = (key = QUERY, at = door.search, options = {}) =>
  documents({ key, at, ...options }).getDocumentsCount();
export const lookup = (key = QUERY, id = '001') =>
  documents({ key }).getDocument(id, { selectedFields: ['id', 'name'] });
const suggest = async (key) => (await documents({ key }).suggest('harb', 'sg', { top: 3 })).results;
const autocomplete = (key) => documents({ key }).autocomplete('harb', 'sg', { top: 3 });

const near = { queries: [{ kind: 'vector', vector: [0.1, 0.9, 0.5], kNearestNeighborsCount: 3, fields: ['place'] }] };
const meaning = {
  queryType: 'semantic',
  semanticSearchOptions: {
    configurationName: 'meaning',
    captions: { captionType: 'extractive' },
    answers: { answerType: 'extractive' },
  },
};
const shortly = { select: ['id'], top: 5 };

/** What is searched for, and how. */
export const queries = {
  'everything, filtered': ['*', { ...shortly, filter: odata`rating eq ${3}`, orderBy: ['id desc'] }],
  skipped: ['harbour', { ...shortly, orderBy: ['id'], skip: 2 }],
  'of Lucene': ['name:harbour AND 00*', { ...shortly, queryType: 'full', orderBy: ['id'] }],
  'of all words': ['harbour view', { ...shortly, searchMode: 'all', orderBy: ['id'] }],
  highlighted: ['harbour', { ...shortly, highlightFields: 'name', orderBy: ['id'] }],
  'of fields': ['harbour', { ...shortly, searchFields: ['name'], minimumCoverage: 80, orderBy: ['id'] }],
  'with facets and a count': ['*', { ...shortly, facets: ['rating,count:3'], includeTotalCount: true, top: 1 }],
  'by vector': [undefined, { ...shortly, vectorSearchOptions: near }],
  'by words and vector': ['harbour', { ...shortly, vectorSearchOptions: near }],
  'by meaning': ['harbour', { ...shortly, ...meaning }],
  'the sample index': ['*', { top: 2, orderBy: ['HotelId'] }, { index: 'hotels' }],
};

/** With a query key, too. */
export const reads = { search: (key) => search(key, 'harbour', { top: 3 }), suggest, autocomplete, lookup, count };

/** With an admin key alone. */
export const forAdmins = {
  'create index': (key) => indexes(key).createIndex(definition(`${INDEX}-refused`)),
  'create or update index': async (key) => shown(await indexes(key).createOrUpdateIndex(definition())),
  'get index': getIndex,
  'list indexes': async (key) => (await all(indexes(key).listIndexesNames())).includes(INDEX),
  'delete index': deleteIndex,
  upload: (key) => upload(key, DOCUMENTS.slice(0, 1)),
  merge: async (key) => written(await documents({ key }).mergeDocuments([{ id: '001', rating: 9 }])),
  'merge or upload': async (key) =>
    written(await documents({ key }).mergeOrUploadDocuments([{ id: '119', name: 'Harbour of old', rating: 1 }])),
  'delete a document': async (key) => written(await documents({ key }).deleteDocuments('id', ['119'])),
  analyze: async (key) =>
    shown(await indexes(key).analyzeText(INDEX, { text: 'The harbour of Zürich', analyzerName: 'standard.lucene' })),
  'index statistics': async (key) => (await indexes(key).getIndexStatistics(INDEX)).documentCount,
  'service statistics': async (key) => Object.keys((await indexes(key).getServiceStatistics()).counters).sort(),
};
