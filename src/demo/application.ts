/** How the three programs of the demo start, report and end. */
import { PeerGone } from './connection.js';

/** The sockets that each of them inherits. */
export const UPSTREAM = 3;
export const DOWNSTREAM = 4;

/** Exit status of a program whose neighbour has gone: not the one to blame. */
export const STATUS_PEER_GONE = 3;

/** Runs a program to its end; what goes wrong is one line on stderr. */
export async function application(main: (args: string[]) => Promise<void>): Promise<void> {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    // Not exitCode: a receive() that nobody waits for any more would keep the program alive.
    process.exit(error instanceof PeerGone ? STATUS_PEER_GONE : 1);
  }
}

/** A line on stdout for who started us. */
export function report<T>(fact: T): void {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}
