/** `--trace`: a line for each call that was answered here, in the style of strace. */
import { CallText } from '../observe/call_text.js';
import type { ObservedCall } from '../observe/observer.js';
import type { Call, Traced } from './call.js';

export interface TracerOptions {
  /** Takes each line, without its end. */
  write: (line: string) => void;
  /** Whether each line begins with the number of the call, by which a report names it: `#12 `. */
  numbers?: boolean;
}

/** Makes the lines: `before` when a call comes, `after` when it has its answer. */
export class CallTracer {
  readonly #write: (line: string) => void;
  readonly #numbers: boolean;
  #firstTid = 0;

  constructor({ write, numbers = false }: TracerOptions) {
    this.#write = write;
    this.#numbers = numbers;
  }

  /** @see Tracer.enter */
  enter(arriving: Call, name: string, observed: ObservedCall | undefined): Traced {
    const { tid } = arriving;
    const text = observed?.keep() ?? new CallText(arriving, name);
    return (call, answer) => {
      // What the machine's kernel does is shown if there is anything to be said of it.
      if (answer === undefined && !(this.#numbers && observed?.named)) return;
      this.#firstTid ||= tid;
      const who = tid === this.#firstTid ? '' : `[pid ${tid}] `;
      const number = this.#numbers && observed ? `#${observed.number} ` : '';
      this.#write(`${number}${who}${text.line(call, answer)}${call.fault?.mark ?? ''}`);
    };
  }
}
