/**
 * What handlers give, looked at before it becomes the result of a call: files are run as they are, and no compiler may
 * have looked at them.
 */
import { inspect } from 'node:util';
import { Errno } from '../errno.js';
import { pageAlign } from '../mm/page.js';
import type { MemoryPiece } from './file.js';

/** The most negative result that is an errno: Linux's MAX_ERRNO. */
const LEAST = -4095;
/** A call gives an int. */
const MOST = 2 ** 31 - 1;

/** A mistake of a driver's that what it gave shows. Where it was made is not known: our own stack says nothing. */
class WrongAnswer extends TypeError {
  constructor(message: string) {
    super(message);
    this.stack = `TypeError: ${message}`;
  }
}

const shown = (value: unknown) =>
  inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 40 });

/** Of who gives something, such as `/dev/scaler: SCALER_IOC_SCALE`, what has to be there at once. */
export function notLater<T>(who: string, value: T): T {
  if (!(value instanceof Promise)) return value;
  // That it fails, if it does, is one mistake with this.
  value.catch(() => {});
  throw new WrongAnswer(`${who} gave a promise, and nobody waits for it: it cannot be async`);
}

/** The result of a call; nothing is `otherwise`. */
export function resultOf(who: string, value: unknown, otherwise = 0, most = MOST): number {
  const result = value ?? otherwise;
  const isResult = Number.isInteger(result) && Number(result) >= LEAST && Number(result) <= most;
  // Programs would see it, where no signal is pending.
  const isRestart = result === -Errno.ERESTARTSYS || result === -Errno.ERESTARTNOHAND;
  if (isResult && !isRestart) return Number(result);
  throw new WrongAnswer(
    `${who} gave ${shown(value)}: a result is an integer from ${LEAST} to ${most}, or nothing`,
  );
}

/** What read(2) of `size` bytes gives. */
export function bytesOf(who: string, value: unknown, size: number): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new WrongAnswer(`${who} gave ${shown(value)}, which is no Uint8Array`);
  }
  if (value.length <= size) return value;
  throw new WrongAnswer(`${who} gave ${value.length} bytes, and at most ${size} were asked for`);
}

/** What an attribute says. */
export function textOf(who: string, value: unknown): string {
  const text = notLater(who, value);
  if (typeof text === 'string') return text;
  throw new WrongAnswer(`${who} gave ${shown(text)}, which is no string`);
}

/** What a mapping of `length` bytes is made of: with less, touching the rest of it would be SIGBUS. */
export function piecesOf(who: string, value: unknown, length: number): MemoryPiece[] {
  if (!Array.isArray(value)) {
    throw new WrongAnswer(`${who} gave ${shown(value)}, which is no array of pieces of memory`);
  }
  const pieces: MemoryPiece[] = value;
  const given = pageAlign(pieces.reduce((sum, piece) => sum + piece.length, 0));
  if (given === length) return pieces;
  throw new WrongAnswer(`${who} gave ${given} bytes, and ${length} were asked for`);
}
