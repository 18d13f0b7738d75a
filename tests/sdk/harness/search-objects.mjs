// What a search service keeps beside indexes: made, looked at, changed, listed and deleted. A refused story ends at its
// first request.

import * as sdk from '@azure/search-documents';
import { ADMIN, INDEX, all, documents, indexers, indexes, shown } from './search-clients.mjs';

async function synonymMap(key = ADMIN) {
  const client = indexes(key);
  const name = `words-${INDEX}`;
  const made = await client.createSynonymMap({ name, synonyms: ['quay, pier'] });
  const again = await client.getSynonymMap(name);
  const changed = await client.createOrUpdateSynonymMap({ ...again, synonyms: ['quay, pier, mole'] });
  const listed = (await client.listSynonymMapsNames()).includes(name);
  const whole = (await client.listSynonymMaps()).length > 0;
  await client.deleteSynonymMap(name);
  return [shown([made, changed]), listed, whole];
}

const dataSource = {
  name: `blobs-${INDEX}`,
  type: 'azureblob',
  connectionString: `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${'A'.repeat(86)}==`,
  container: { name: 'papers' },
};
const skillset = {
  name: `skills-${INDEX}`,
  skills: [{
    odatatype: '#Microsoft.Skills.Text.LanguageDetectionSkill',
    inputs: [{ name: 'text', source: '/document/content' }],
    outputs: [{ name: 'languageCode', targetName: 'language' }],
  }],
};
const indexer = {
  name: `nightly-${INDEX}`,
  dataSourceName: dataSource.name,
  skillsetName: skillset.name,
  targetIndexName: INDEX,
};

async function indexing(key = ADMIN) {
  const client = indexers(key);
  const made = [
    await client.createDataSourceConnection(dataSource),
    await client.createSkillset(skillset),
    await client.createIndexer(indexer),
  ];
  await client.runIndexer(indexer.name);
  const { status, lastResult } = await client.getIndexerStatus(indexer.name);
  await client.resetIndexer(indexer.name);
  const seen = [
    await client.getDataSourceConnection(dataSource.name),
    await client.getSkillset(skillset.name),
    await client.getIndexer(indexer.name),
  ];
  const changed = [
    await client.createOrUpdateDataSourceConnection({ ...seen[0], description: 'all papers' }),
    await client.createOrUpdateSkillset({ ...seen[1], description: 'languages' }),
    await client.createOrUpdateIndexer({ ...seen[2], description: 'nightly' }),
  ];
  const listed = [
    // version 13.0.0 stumbles over the answers to a question for names alone
    (await client.listDataSourceConnections()).some(({ name }) => name === dataSource.name),
    (await client.listSkillsets()).some(({ name }) => name === skillset.name),
    (await client.listIndexersNames()).includes(indexer.name),
  ];
  await client.deleteIndexer(indexer.name);
  await client.deleteSkillset(skillset.name);
  await client.deleteDataSourceConnection(dataSource.name);
  return shown([made, status, lastResult.status, seen, changed, listed]);
}

async function alias(key = ADMIN) {
  const client = indexes(key);
  const name = `current-${INDEX}`;
  const made = await client.createAlias({ name, indexes: [INDEX] });
  const changed = await client.createOrUpdateAlias({ name, indexes: ['hotels'] });
  const listed = (await all(client.listAliases())).some((alias) => alias.name === name);
  const count = await documents({ index: name }).getDocumentsCount();
  await client.deleteAlias(name);
  return [shown([made, changed]), listed, count];
}

/** With its source, and what it knows. */
async function knowledgeBase(key = ADMIN) {
  const client = indexes(key);
  const source = `source-${INDEX}`;
  const name = `kb-${INDEX}`;
  const searchIndexParameters = { searchIndexName: 'hotels' };
  const made = [
    await client.createKnowledgeSource({ name: source, kind: 'searchIndex', searchIndexParameters }),
    await client.createKnowledgeBase({ name, knowledgeSources: [{ name: source }] }),
  ];
  const status = await client.getKnowledgeSourceStatus(source);
  const seen = [await client.getKnowledgeSource(source), await client.getKnowledgeBase(name)];
  const listed = [
    (await all(client.listKnowledgeSources())).some((one) => one.name === source),
    (await all(client.listKnowledgeBases())).some((one) => one.name === name),
  ];
  const intents = [{ kind: 'semantic', search: 'pool' }];
  const answer = await client.getKnowledgeRetrievalClient(name).retrieve({ intents });
  await client.deleteKnowledgeBase(name);
  await client.deleteKnowledgeSource(source);
  return [shown([made, status, seen, listed]), shown(answer.response), answer.references.length];
}

/** Those that this version has. */
export const objects = {
  'synonym map': synonymMap,
  'indexer, data source and skillset': indexing,
  ...('createAlias' in sdk.SearchIndexClient.prototype && { alias }),
  ...('KnowledgeRetrievalClient' in sdk && { 'knowledge base': knowledgeBase }),
};
