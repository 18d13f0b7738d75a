// The rows of section F of azure-wire.md for which a legacy client has an expectation, as `section_f.json` lists them:
// section_f.py again.

import { readFileSync } from 'node:fs';
import { azureAnswers, test } from './recorder.mjs';

const ROWS = JSON.parse(readFileSync(new URL('section_f.json', import.meta.url)));

/**
 * Registers a case for each answer that the plane gives on demand; `name` begins what they are called.
 *
 * ask: sends one request and repeats nothing
 * exceptionOf: the class of the exception that a status becomes
 * differences: by row, what else the case expects
 */
export function onDemand(name, plane, { ask, exceptionOf, differences = {} }) {
  for (const { row, condition, answer, status } of ROWS.filter((row) => row.plane === plane && row.answer)) {
    const expected = { refused: exceptionOf(status), requests: 1, row, ...differences[row] };
    test(`${name}: ${row}: ${condition}`, expected, async () => {
      await azureAnswers(answer, { plane });
      await ask();
    });
  }
}
