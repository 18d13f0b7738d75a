// The clients of the openai package, and how its versions differ in calling the same things.

import OpenAI, { AzureOpenAI } from 'openai';
import { VERSION } from 'openai/version';
import { door } from './recorder.mjs';

/**
 * Makes clients by the name of their surface: AzureOpenAI (`api-key`), and the plain OpenAI client on /openai/v1
 * (`Authorization`).
 *
 * counting: the options that make clients of this version count their requests
 */
export function surfaces(counting) {
  return {
    azure: ({ apiKey = door.openai_key, endpoint = door.openai, ...more } = {}) =>
      new AzureOpenAI({ endpoint, apiKey, apiVersion: '2025-04-01-preview', ...counting, ...more }),
    v1: ({ apiKey = door.openai_key, endpoint = door.openai, ...more } = {}) =>
      new OpenAI({ baseURL: `${endpoint}/openai/v1/`, apiKey, ...counting, ...more }),
  };
}

const IN_A_ROW = VERSION.startsWith('4.');

/** The arguments that name a thing inside another, `within({ thread_id }, run, body)`: in a row until version 4. */
export const within = (parents, id, body = {}) =>
  IN_A_ROW ? [...Object.values(parents), id, body] : [id, { ...parents, ...body }];

/** `del` until version 4. */
export const gone = (resource, ...names) => (resource.delete ?? resource.del).apply(resource, names);

/** The first so many of a list, whose pages the SDK turns by itself. */
export async function first(list, count) {
  const found = [];
  for await (const item of list) {
    found.push(item);
    if (found.length === count) return found;
  }
  throw new Error(`there were only ${found.length}`);
}

/** What Azure decides of an answer: ids and times are new in every run. */
export function shown(value) {
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object') return value;
  const decided = Object.entries(value).filter(([name]) => !/^(id|created)$|_(id|ids|at|file)$/.test(name));
  return Object.fromEntries(decided.map(([name, inner]) => [name, shown(inner)]));
}

/** The headers of a request without a key; AzureOpenAI cannot leave it out until version 4. */
export const keyless = (surface) =>
  IN_A_ROW && surface === 'azure' ? null : { 'api-key': null, authorization: null };

/** The class of the exception that a status becomes. */
export function exceptionOf(status) {
  const named = {
    400: 'BadRequestError',
    401: 'AuthenticationError',
    403: 'PermissionDeniedError',
    404: 'NotFoundError',
    409: 'ConflictError',
    422: 'UnprocessableEntityError',
    429: 'RateLimitError',
  };
  return named[status] ?? (status >= 500 ? 'InternalServerError' : 'APIError');
}

/** What an application can see of these exceptions. */
export const describe = ({ status, code, type, param, message, error }) => ({
  status, code, type, param, message, body: error,
});
