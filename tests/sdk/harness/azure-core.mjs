// What the SDKs named @azure/* share: they are built on azure-core.

import { requestSent } from './recorder.mjs';

/** Stands behind the SDK's retry policy, so that it sees what is really sent. */
const countEachTry = {
  name: 'countEachTry',
  sendRequest(request, next) {
    requestSent();
    return next(request);
  },
};

/** The options of every client: what is repeated is the SDK's affair; that it waits less is ours. */
export const OPTIONS = {
  additionalPolicies: [{ policy: countEachTry, position: 'perRetry' }],
  retryOptions: { retryDelayInMs: 20 },
};

/** The same, of a client that leaves its key at home. */
export const KEYLESS = {
  ...OPTIONS,
  additionalPolicies: [
    ...OPTIONS.additionalPolicies,
    {
      policy: {
        name: 'leaveTheKey',
        sendRequest(request, next) {
          request.headers.delete('api-key');
          return next(request);
        },
      },
      position: 'perRetry',
    },
  ],
};

/** What an application can see of these exceptions, some of which are no errors, and some nothing at all. */
export const describe = (error) => ({
  status: error?.statusCode, code: error?.code, message: error?.message, type: error?.type, param: error?.param,
});
