// The clients of @azure/search-documents, and what is seen of what they give.

import { AzureKeyCredential, SearchClient, SearchIndexClient, SearchIndexerClient } from '@azure/search-documents';
import { OPTIONS } from './azure-core.mjs';
import { door } from './recorder.mjs';

export const ADMIN = door.search_admin_key;
export const QUERY = door.search_query_key;
export const INDEX = `sdk-${door.run}`;

const credential = (key) => new AzureKeyCredential(key);

export const documents = ({ key = QUERY, index = INDEX, at = door.search, ...more } = {}) =>
  new SearchClient(at, index, credential(key), { ...OPTIONS, ...more });
export const indexes = (key = ADMIN) => new SearchIndexClient(door.search, credential(key), OPTIONS);
export const indexers = (key = ADMIN) => new SearchIndexerClient(door.search, credential(key), OPTIONS);

/** What the service decides of an object: not its tag, which is new each time, nor times; and links lead to us. */
export function shown(value) {
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object') return value;
  const decided = Object.entries(value).filter(([name]) => !/^etag$|Time$/i.test(name));
  return Object.fromEntries(
    decided.map(([name, inner]) => [name, name === '@odata.context' ? relative(inner) : shown(inner)]),
  );
}

function relative(link) {
  if (!link.startsWith(`${door.search}/`)) throw new Error(`${link} leads elsewhere`);
  return link.slice(door.search.length);
}

export async function all(iterator) {
  const found = [];
  for await (const item of iterator) found.push(item);
  return found;
}
