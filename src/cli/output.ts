/** Files that commands write to: never over something of the user's that was named by mistake. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { UsageError } from './usage.js';

interface Kind {
  readonly option: string;
  /** How such a file begins, as far as it is there. */
  readonly beginning: RegExp;
}

/** What `run` writes. */
const KINDS = {
  trace: {
    option: '--trace',
    beginning: /^(#\d+ )?(\[pid \d+\] )?[a-z]\w*\(([^\n]*$|[^\n]*\) = )/,
  },
  'trace of events': { option: '--trace-events', beginning: /^\[\s*(\{"ph":|\]?\s*$)/ },
  report: { option: '--report-json', beginning: /^\{\s*"version": 1,/ },
} as const satisfies Record<string, Kind>;

/** Enough to tell. */
const BEGINNING = 4096;

/**
 * Opens a file for what `kind` is, and empties it. A file with something else in it stays as it is: where a value is
 * forgotten, or "--", the next word is mostly the program.
 */
export function openOutput(kind: keyof typeof KINDS, path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o666);
  } catch (error) {
    throw new UsageError(`cannot write the ${kind}: ${(error as Error).message}`);
  }
  // Pipes and terminals have nothing to lose.
  if (fstatSync(fd).isFile()) {
    const { option, beginning } = KINDS[kind];
    if (fstatSync(fd).size > 0 && !beginning.test(readBeginning(path))) {
      closeSync(fd);
      throw new UsageError(
        `${option} ${path}: that file is something else than a ${kind}, and is not overwritten ` +
          `(is it the program? dmabuf-shim run ${option === '--trace' ? option : `${option} FILE`} -- ${path})`,
      );
    }
    ftruncateSync(fd);
  }
  return fd;
}

/** What the file has, or nothing if it may not be read. */
function readBeginning(path: string): string {
  try {
    const reader = openSync(path, 'r');
    const bytes = Buffer.alloc(BEGINNING);
    const length = readSync(reader, bytes);
    closeSync(reader);
    return bytes.toString('latin1', 0, length);
  } catch {
    return '';
  }
}

/** Writes what a command makes of `input`, which is not to be lost. */
export function writeOutput(path: string, text: string, input: string): void {
  const [a, b] = [path, input].map((each) => statSync(each, { throwIfNoEntry: false }));
  if (a && b && a.dev === b.dev && a.ino === b.ino) {
    throw new UsageError(`${path} is what is read, and is not overwritten`);
  }
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${(error as Error).message}`);
  }
}
