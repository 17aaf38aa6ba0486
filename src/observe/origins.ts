/** Who made what: the call in which it was made, or the place in a driver's source. */
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KernelCore } from '../core.js';
import type { FindingPlace, FindingProcess } from './finding.js';
import type { ObservedCall } from './observer.js';

/** A place whose text is complete when the call has its result. */
interface OpenPlace extends FindingPlace {
  text: string;
}

export class Origins {
  readonly #kernel: KernelCore;
  /** The places of calls that are not over yet. */
  readonly #open = new Map<ObservedCall, OpenPlace>();

  constructor(kernel: KernelCore) {
    this.#kernel = kernel;
  }

  /** Where we are now. */
  here(): FindingPlace {
    const { call } = this.#kernel.observers;
    if (!call) return { text: sourcePlace() ?? 'a driver' };
    let place = this.#open.get(call);
    if (!place) {
      const process = { pid: call.pid, comm: call.comm };
      place = { call: call.number, text: call.text, process };
      this.#open.set(call, place);
    }
    return place;
  }

  /** Who makes the call that is being handled. */
  caller(): FindingProcess | undefined {
    const { call } = this.#kernel.observers;
    return call && { pid: call.pid, comm: call.comm };
  }

  callEnded(call: ObservedCall, result: number | undefined): void {
    const place = this.#open.get(call);
    if (!place) return;
    this.#open.delete(call);
    place.text = call.line(result);
  }
}

/** Where this package is, whose own frames of a stack say nothing. */
const own = packageFolder();

function packageFolder(): string {
  const here = fileURLToPath(import.meta.url);
  // src/observe/origins.ts, or dist/… of it.
  const at = Math.max(here.lastIndexOf(`${sep}dist${sep}`), here.lastIndexOf(`${sep}src${sep}`));
  return here.slice(0, at + 1);
}

/** `scaler.ts:12`: the innermost frame that is not of this package, nor of Node. */
function sourcePlace(): string | undefined {
  const frames = new Error().stack?.split('\n').slice(1) ?? [];
  for (const frame of frames) {
    const [, place] = /\(?((?:file:\/\/)?\/[^()]+:\d+):\d+\)?$/.exec(frame) ?? [];
    if (place === undefined) continue;
    const path = place.startsWith('file://') ? place.slice('file://'.length) : place;
    const isOurs = ['src', 'uapi', 'dist'].some((folder) =>
      path.startsWith(`${own}${folder}${sep}`),
    );
    if (!isOurs && !path.includes(`${sep}node_modules${sep}`)) return path;
  }
  return undefined;
}
