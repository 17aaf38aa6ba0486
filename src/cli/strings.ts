/** Arguments and environment as the bytes that this process was given: Node makes text of them. */
import * as own from '../host/self.js';

const NUL = 0;
/** Node takes these, and the descriptor that they are about, for itself (child_process.fork). */
const NODES_OWN = /^NODE_CHANNEL_/;

/**
 * `program`, which is the end of our own command line, and then our environment: each ended by NUL.
 * Also what Node, or a module that was loaded into it, does to process.env is not in it.
 */
export function programStrings(program: readonly string[]): Buffer {
  return Buffer.concat([lastArguments(program), environment()]);
}

function lastArguments(program: readonly string[]): Buffer {
  const text = program.map((argument) => `${argument}\0`).join('');
  const line = own.commandLine();
  let end = line.length - 1;
  for (const _ of program) end = end > 0 ? line.lastIndexOf(NUL, end - 1) : -1;
  const bytes = line.subarray(end + 1);
  // Something else is there where the process was given a title, or is not the command line's.
  return bytes.toString() === text ? bytes : Buffer.from(text);
}

function environment(): Buffer {
  const bytes = own.environment();
  if (!process.channel) return bytes;
  const strings = bytes.toString('latin1').match(/[^\0]*\0/g) ?? [];
  return Buffer.from(strings.filter((string) => !NODES_OWN.test(string)).join(''), 'latin1');
}
