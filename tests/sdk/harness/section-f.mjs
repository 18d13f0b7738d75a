// The rows of section F of azure-wire.md for which a legacy client has an expectation, as `section_f.json` lists them:
// section_f.py again.

import { readFileSync } from 'node:fs';
import { AT_KEYSWAP, azureAnswers, test } from './recorder.mjs';

const ROWS = JSON.parse(readFileSync(new URL('section_f.json', import.meta.url)));

/**
 * Registers a case for each answer that the plane gives on demand; `name` begins what they are called.
 *
 * ask: sends one request and repeats nothing
 * exceptionOf: the class of the exception, by the status and the row
 */
export function onDemand(name, plane, { ask, exceptionOf }) {
  for (const { row, condition, answer, status } of ROWS.filter((row) => row.plane === plane && row.answer)) {
    test(`${name}: ${row}: ${condition}`, { refused: exceptionOf(status, row), requests: 1, row }, async () => {
      await azureAnswers(answer, { plane });
      await ask();
    });
  }
}

/** What Azure says to keyswap alone, whose token or role it is: no legacy client expects these. */
const OWN_FAULTS = {
  openai: [
    { answer: 'A1.1', condition: 'a key that Azure did not take', azure: 401, keyswap: 502 },
    { answer: 'A1.2', condition: 'a token that Azure did not take', azure: 401, keyswap: 502, replayed: 1 },
    { answer: 'A1.4', condition: 'a key where keys are disabled', azure: 403, keyswap: 502 },
    { answer: 'A1.5', condition: 'a missing role, until 2024', azure: 401, keyswap: 403 },
    { answer: 'A1.5b', condition: 'a missing role', azure: 401, keyswap: 403 },
    { answer: 'A1.9', condition: 'a host without a subdomain', azure: 400, keyswap: 502 },
  ],
  search: [
    { answer: 'B1.4', condition: 'a token that Azure did not take', azure: 401, keyswap: 502, replayed: 1 },
    { answer: 'B1.6', condition: 'an empty refusal', azure: 403, keyswap: 403 },
    { answer: 'B1.7', condition: 'a missing role', azure: 403, keyswap: 403 },
    { answer: 'B1.8', condition: 'a role that was not to be found out', azure: 403, keyswap: 403 },
  ],
};

/**
 * Registers a case for each fault of keyswap's own identity: every SDK shows the cure.
 *
 * ask: sends one request, and repeats what it likes
 * exceptionOf: the class of the exception, by the status and Azure's answer
 * tries: how often the SDK asks that is told 502, although it is also told not to ask again
 */
export function ownFaults(name, plane, { ask, exceptionOf, tries }) {
  const differs = "who refused keyswap's own identity is not refusing the client's key";
  for (const { answer, condition, azure, keyswap, replayed = 0 } of OWN_FAULTS[plane]) {
    const expected = AT_KEYSWAP
      ? { refused: exceptionOf(keyswap), requests: keyswap === 502 ? tries : 1, replayed, differs }
      : { refused: exceptionOf(azure, answer), requests: 1, differs };
    test(`${name}: ${answer}: ${condition}`, expected, async () => {
      await azureAnswers(answer, { plane, times: 9 });
      await ask();
    });
  }
}
