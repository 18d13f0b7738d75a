// Runs the cases of one JavaScript suite at one door and prints one JSON line for each: recorder.py again.

/** Where the SDK is sent and with which keys: `SDK_OPENAI_KEY` is `door.openai_key`. */
export const door = Object.fromEntries(
  Object.entries(process.env)
    .filter(([name]) => name.startsWith('SDK_'))
    .map(([name, value]) => [name.slice('SDK_'.length).toLowerCase(), value]),
);

export const WRONG_KEY = '0123456789abcdef0123456789abcdef';
/** A key that differs from another in its last letter. */
export const nearly = (key) => key.slice(0, -1) + (key.endsWith('0') ? '1' : '0');

/** Keys that open nothing at Azure OpenAI, by what they are. */
export const BAD_KEYS = {
  'wrong key': WRONG_KEY,
  'nearly the key': nearly(door.openai_key),
  "the search service's key": door.search_admin_key,
};

export const AT_KEYSWAP = door.journal === 'behind';

const cases = [];
let sentAt = [];

/** How long a case may take, in milliseconds: one that hangs must not hide the others. */
const LIMIT = 30_000;

const EXPECTATIONS = {
  refused: null,
  requests: null,
  forwarded: true,
  alive: true,
  replayed: 0,
  differs: null,
  row: null,
  realtime: false,
};

/**
 * Registers a case, with what it expects at this door.
 *
 * refused: the class of the exception that it must end in
 * requests: how many it may cost
 * forwarded: false where keyswap answers by itself and Azure may see nothing
 * alive: false where nobody answers; then keyswap may not cost more requests than the lack of it does
 * replayed: how often keyswap may send a request once more by itself
 * differs: the reason, where keyswap is different on purpose
 * row: which row of section F it shows
 * realtime: whether it speaks over a websocket
 */
export function test(name, expected, run) {
  if (cases.some((other) => other.name === name)) throw new Error(`two cases are called ${name}`);
  const unknown = Object.keys(expected).filter((key) => !(key in EXPECTATIONS));
  if (unknown.length) throw new Error(`${name} expects ${unknown}`);
  cases.push({ name, expected: { ...EXPECTATIONS, ...expected }, run });
}

/** The emulator's next answer, instead of the right one; `answer` is one of its names (`A1.12`). */
export async function azureAnswers(answer, { plane = 'openai', ...details } = {}) {
  await control('POST', '/next', { at: plane, answer, ...details });
}

/** The suites hang this into whatever their SDK offers where one HTTP request leaves. */
export function requestSent() {
  sentAt.push(performance.now());
}

/** The requests of this case that arrived at Azure, as the emulator saw them. */
export const arrived = async () =>
  (await control('GET', '/journal')).filter((entry) => entry.door === door.journal);

/** Whether so many milliseconds, and not many more, were between the requests of this case. */
export function waited(milliseconds) {
  const pauses = sentAt.slice(1).map((later, index) => later - sentAt[index]);
  return pauses.every((pause) => pause >= milliseconds && pause < milliseconds + 9000);
}

/** A `fetch` for SDKs that take one: it sees every try, also what the SDK repeats by itself. */
export function countingFetch(url, ...more) {
  // openai tries out on a `data:` URL what this fetch makes of forms
  if (String(url).startsWith('http')) requestSent();
  return fetch(url, ...more);
}

/** Thrown for a stream that broke off: how that is told changes from time to time, but not that it is. */
class BrokenOff extends Error {}

/** Runs what reads such a stream to its end; its case is `refused: 'BrokenOff'`. */
export async function brokenOff(reading) {
  try {
    await reading();
  } catch (error) {
    throw new BrokenOff(error?.constructor?.name);
  }
}

/** Runs all cases in order; `describe` lists what an application can see of the suite's exceptions. */
export async function runAll(describe) {
  print({ cases: cases.map(({ name }) => name) });
  for (const { name, expected, run } of cases) {
    await control('DELETE', '/next');
    await control('DELETE', '/journal');
    sentAt = [];
    const outcome = await outcomeOf(run, describe);
    const requests = sentAt.length;
    const entries = await arrived();
    const leaked = entries.map((entry) => entry.violation).filter(Boolean);
    const completed = entries.filter((entry) => entry.completed).map((entry) => entry.operation);
    const operations = [...new Set(completed)].sort();
    print({ case: name, outcome, requests, arrived: entries.length, leaked, operations, expected });
  }
  // some SDKs keep a connection whose answer nobody reads any more
  process.exit();
}

async function outcomeOf(run, describe) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error('it did not end')), LIMIT);
  });
  try {
    return { value: (await Promise.race([run(), late])) ?? null };
  } catch (error) {
    return { error: { class: error?.constructor?.name ?? typeof error, ...describe(error) } };
  } finally {
    clearTimeout(timer);
  }
}

async function control(method, path, message) {
  const answer = await fetch(door.control + path, { method, body: message && JSON.stringify(message) });
  if (!answer.ok) throw new Error(`the emulator's control port: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function print(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}
