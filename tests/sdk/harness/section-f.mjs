// The rows of section F of azure-wire.md, as `section_f.json` lists them: section_f.py again.

import { readFileSync } from 'node:fs';
import { AT_KEYSWAP, azureAnswers, test } from './recorder.mjs';

const ROWS = JSON.parse(readFileSync(new URL('section_f.json', import.meta.url)));
const rowsOf = (plane, member) => ROWS.filter((row) => row.plane === plane && row[member]);

/**
 * Registers a case for each answer that the plane gives on demand; `name` begins what they are called.
 *
 * ask: sends one request and repeats nothing
 * exceptionOf: the class of the exception, by the status and the row
 */
export function onDemand(name, plane, { ask, exceptionOf }) {
  for (const { row, condition, answer, status } of rowsOf(plane, 'answer')) {
    test(`${name}: ${row}: ${condition}`, { refused: exceptionOf(status, row), requests: 1, row }, async () => {
      await azureAnswers(answer, { plane });
      await ask();
    });
  }
}

/**
 * Registers a case for each fault of keyswap's own identity: every SDK shows the cure.
 *
 * ask: sends one request, and repeats what it likes
 * exceptionOf: the class of the exception, by the status and the row
 * tries: how often the SDK asks that is told 502, although it is also told not to ask again
 */
export function ownFaults(name, plane, { ask, exceptionOf, tries }) {
  const differs = "who refuses keyswap's own identity does not refuse the client's key";
  for (const { row, condition, fault, azure, keyswap, replayed } of rowsOf(plane, 'fault')) {
    const expected = AT_KEYSWAP
      ? { refused: exceptionOf(keyswap), requests: keyswap === 502 ? tries : 1, replayed: replayed ?? 0 }
      : { refused: exceptionOf(azure, row), requests: 1 };
    test(`${name}: ${row}: ${condition}`, { ...expected, row, differs }, async () => {
      await azureAnswers(fault, { plane, times: 9 });
      await ask();
    });
  }
}
