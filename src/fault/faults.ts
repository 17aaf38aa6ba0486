/** The faults that a kernel injects into the calls that it answers: rules, and chaos. */

import {
  dma_buf_ioctls,
  dma_heap_ioctls,
  dma_importer_ioctls,
  type IoctlTable,
  sw_sync_ioctls,
  sync_file_ioctls,
  udmabuf_ioctls,
} from '../../ioctl/index.js';
import type { KernelCore } from '../core.js';
import { Errno, errnoName } from '../errno.js';
import { random } from '../mm/random.js';
import { PerKernel } from '../per_kernel.js';
import { KERN_INFO } from '../printk.js';
import type { Task } from '../task.js';
import { type Aim, errorsOf, nameOf } from './contract.js';
import { type FaultRule, type ParsedRule, parseRule } from './rule.js';
import { INJECTABLE } from './target.js';

/** What is done to a call. */
export interface Verdict {
  /** What it gives instead of being made: a negative errno, or a value. */
  result: number | undefined;
  /** Milliseconds to wait before it. */
  enter: number;
  /** Milliseconds to wait after it. */
  exit: number;
}

/** Something that injects. */
interface Source {
  /** Whether it may do something to calls of this name: worth a look at what they go to. */
  concerns(call: string): boolean;
  /** Counts the call; what is done to it, if anything, and why. */
  strike(aim: Aim): (Partial<Verdict> & { why: string }) | undefined;
}

/** A rule with its counts. */
export class Rule implements Source {
  readonly parsed: ParsedRule;
  readonly #counts = new Map<string, number>();
  hits = 0;

  constructor(parsed: ParsedRule) {
    this.parsed = parsed;
  }

  /** The calls that it was asked about. */
  get calls(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  concerns(call: string): boolean {
    const { names } = this.parsed;
    return (
      names.includes(call) || (call === 'ioctl' && names.some((name) => !INJECTABLE.has(name)))
    );
  }

  strike({ call, ioctl }: Aim) {
    let hit: number | undefined;
    for (const name of new Set([call, ioctl?.name])) {
      if (name === undefined || !this.parsed.names.includes(name)) continue;
      const count = (this.#counts.get(name) ?? 0) + 1;
      this.#counts.set(name, count);
      if (this.parsed.when(count)) hit = count;
    }
    if (hit === undefined) return undefined;
    this.hits++;
    const { result, enter, exit } = this.parsed;
    return { result, enter, exit, why: `call ${hit}` };
  }
}

export interface ChaosOptions {
  /** An integer: the same one brings the same faults. */
  seed: number;
  /** How many calls fail, from 0 to 1: 0.1, every tenth, by default. */
  rate?: number;
}

/**
 * Any call fails with any errno that its contract allows. The nth call of a name always meets the same fate, whatever
 * other threads and processes do in between.
 */
class Chaos implements Source {
  readonly #seed: number;
  readonly #rate: number;
  readonly #dice = new Map<string, { count: number; next: () => number }>();

  constructor({ seed, rate = 0.1 }: ChaosOptions) {
    if (!Number.isSafeInteger(seed)) throw new RangeError('chaos: the seed is an integer');
    if (!(rate >= 0 && rate <= 1)) throw new RangeError('chaos: the rate is a number from 0 to 1');
    this.#seed = seed;
    this.#rate = rate;
  }

  concerns(): boolean {
    return true;
  }

  strike(aim: Aim) {
    const errors = errorsOf(aim);
    if (errors.length === 0) return undefined;
    const dice = this.#diceOf(nameOf(aim));
    dice.count++;
    const [luck, which] = [dice.next(), dice.next()];
    if (luck >= this.#rate) return undefined;
    const error = errors[Math.floor(which * errors.length)];
    return error && { result: -Errno[error], why: `call ${dice.count}, chaos ${this.#seed}` };
  }

  #diceOf(name: string) {
    let dice = this.#dice.get(name);
    if (!dice) {
      let hash = this.#seed;
      for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) as number), 0x01000193);
      dice = { count: 0, next: random(hash) };
      this.#dice.set(name, dice);
    }
    return dice;
  }
}

export class Faults {
  readonly #sources = new Set<Source>();

  get rules(): Rule[] {
    return [...this.#sources].filter((source) => source instanceof Rule);
  }

  concerns(call: string): boolean {
    for (const source of this.#sources) if (source.concerns(call)) return true;
    return false;
  }

  /** Whether a rule names one of these calls. */
  hitsAny(calls: readonly string[]): boolean {
    return this.rules.some(({ parsed }) => parsed.names.some((name) => calls.includes(name)));
  }

  /**
   * What is done to a call, to be asked once for each; a line in the log if it is anything. Of several rules the first
   * says what the call gives, and the delays add up.
   */
  judge(task: Task, aim: Aim): Verdict | undefined {
    const verdict: Verdict = { result: undefined, enter: 0, exit: 0 };
    const reasons = new Set<string>();
    for (const source of this.#sources) {
      const strike = source.strike(aim);
      if (!strike) continue;
      verdict.result ??= strike.result;
      verdict.enter += strike.enter ?? 0;
      verdict.exit += strike.exit ?? 0;
      reasons.add(strike.why);
    }
    if (reasons.size === 0) return undefined;
    const what = `${nameOf(aim)} of ${task.comm}[${task.pid}]: ${describe(verdict)}`;
    task.kernel.printk(KERN_INFO, `fault: ${what} (${[...reasons].join('; ')})`);
    return verdict;
  }

  add(source: Source): () => void {
    this.#sources.add(source);
    return () => this.#sources.delete(source);
  }

  get empty(): boolean {
    return this.#sources.size === 0;
  }
}

function describe({ result, enter, exit }: Verdict): string {
  const parts: string[] = [];
  if (enter > 0) parts.push(`delayed by ${enter} ms`);
  if (result !== undefined) parts.push(result < 0 ? errnoName(-result) : `gives ${result}`);
  if (exit > 0) parts.push(`answered ${exit} ms later`);
  return parts.join(', ') || 'delayed by 0 ms';
}

/** What C calls the requests that have another name in the table. */
const ALIASES: Readonly<Record<string, string>> = { DMA_BUF_SET_NAME: 'DMA_BUF_SET_NAME_B' };

/** @throws RangeError, in one line, for a rule that makes no sense or names a call that there is not. */
export function injectFault(kernel: KernelCore, rule: FaultRule | string): () => void {
  const given = parseRule(rule);
  const parsed = { ...given, names: given.names.map((name) => ALIASES[name] ?? name) };
  const known = ioctlNames(kernel);
  for (const name of parsed.names) {
    if (INJECTABLE.has(name) || known.has(name)) continue;
    const kind = /^[a-z\d_]+$/.test(name) ? 'no system call that is answered here' : 'no ioctl';
    throw new RangeError(`fault "${parsed.text}": ${kind} has the name ${name}`);
  }
  return addSource(kernel, new Rule(parsed));
}

/** @throws RangeError for a seed or a rate that is none. */
export function startChaos(kernel: KernelCore, options: ChaosOptions): () => void {
  return addSource(kernel, new Chaos(options));
}

const injection = new PerKernel<KernelCore, { faults: Faults | undefined }>(() => ({
  faults: undefined,
}));

/** What is injected into the calls of a kernel; undefined: nothing. */
export function faultsOf(kernel: KernelCore): Faults | undefined {
  return injection.of(kernel).faults;
}

function addSource(kernel: KernelCore, source: Source): () => void {
  const injected = injection.of(kernel);
  injected.faults ??= new Faults();
  const { faults } = injected;
  const remove = faults.add(source);
  return () => {
    remove();
    // Without faults, none are looked for.
    if (faults.empty && injected.faults === faults) injected.faults = undefined;
  };
}

/** What there can be calls of without a device of that name: buffers, fences, and nodes that are left out. */
const HEADERS: readonly IoctlTable[] = [
  dma_buf_ioctls,
  dma_heap_ioctls,
  dma_importer_ioctls,
  sw_sync_ioctls,
  sync_file_ioctls,
  udmabuf_ioctls,
];

/** Of these, and of the devices that a kernel has now. */
function ioctlNames(kernel: KernelCore): Set<string> {
  const devices = [...kernel.charDevices].map(({ f_op }) => f_op.ioctls ?? {});
  return new Set([...HEADERS, ...devices].flatMap((table) => Object.keys(table)));
}
