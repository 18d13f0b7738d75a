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

/** The arguments that name a thing inside another, `within({ thread_id }, run)`: in a row until version 4. */
export const within = VERSION.startsWith('4.')
  ? (parents, id) => [...Object.values(parents), id]
  : (parents, id) => [id, parents];

/** `del` until version 4. */
export const remove = (resource, ...names) => (resource.delete ?? resource.del).apply(resource, names);

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
