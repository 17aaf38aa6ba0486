/** What is tried with one ioctl: its argument as it should be, and spoiled in one place at a time. */
import {
  _IOC,
  _IOC_DIR,
  _IOC_NR,
  _IOC_SIZE,
  _IOC_SIZEMASK,
  _IOC_TYPE,
  type IoctlDef,
  type IoctlTable,
} from '../../../ioctl/index.js';
import { isStruct } from '../../types.js';
import type { RuleId } from '../rules.js';
import type { LintedIoctl, Surface } from '../surface.js';
import { isFlags, reads, writes } from '../surface.js';
import type { Answer, Bench, Passed } from './bench.js';
import { type Leaf, leavesOf, unknownBits, unknownValues } from './leaves.js';

/** Nothing is ever mapped there. */
const UNMAPPED = 8;
/** Beyond so many bits, whole bytes are set. */
const BITS = 4096;
/** Errnos that say that the argument is refused for what is in it. */
const REFUSALS = ['EINVAL', 'E2BIG', 'EOPNOTSUPP', 'EOVERFLOW', 'ERANGE'];
/** Every ioctl can fail with these. */
const IMPLIED = ['EFAULT', 'ENOTTY', 'E2BIG', 'EINTR', 'EAGAIN', 'ENODEV'];

type Verdict = 'refused' | 'accepted' | 'unknown';

export class Trials {
  readonly #surface: Surface;
  readonly #bench: Bench;
  readonly #one: LintedIoctl;
  readonly #def: IoctlDef;
  readonly #leaves: Leaf[];
  readonly #answers: Answer[] = [];
  /** What could not be told. */
  readonly #undecided = new Set<string>();
  #base: Answer | undefined;

  constructor(surface: Surface, bench: Bench, one: LintedIoctl) {
    this.#surface = surface;
    this.#bench = bench;
    this.#one = one;
    this.#def = one.def;
    this.#leaves = leavesOf(surface, one.def.arg);
  }

  async run(table: IoctlTable, extensible: boolean): Promise<void> {
    const base = await this.#bench.call(this.#def);
    this.#base = base;
    this.#answers.push(base);
    if (base.kind === 'none') {
      this.#report(
        'handler-stuck',
        'it does not answer within a second',
        'say how it ends, and let O_NONBLOCK and call.signal end it',
      );
      return;
    }
    await this.#spoilArgument();
    if (!this.#bench.stuck) await this.#spoilFields();
    await this.#spoilPointer();
    await this.#spoilRequest(table, extensible);
    this.#judgeBehaviour();
    this.#tellUndecided();
  }

  #report(rule: RuleId, problem: string, remedy: string): void {
    this.#surface.report(rule, this.#one, this.#def.name, problem, remedy);
  }

  #reportLeaf(rule: RuleId, leaf: Leaf, problem: string, remedy: string): void {
    const where = { item: this.#one.item, type: leaf.struct, field: leaf.field.name };
    this.#surface.report(rule, where, `${this.#def.name}, ${leaf.path}`, problem, remedy);
  }

  async #try(
    spoil: (bytes: Uint8Array) => Passed | undefined,
    request: number = this.#def.request,
  ): Promise<Answer> {
    const answer = await this.#bench.call(this.#def, spoil, request);
    if (request === this.#def.request) this.#answers.push(answer);
    return answer;
  }

  /** Compared with the answer to the same without the change. */
  #compare(answer: Answer): Verdict {
    if (answer.kind === 'bug' || answer.kind === 'none') return 'unknown';
    const base = this.#base;
    if (answer.kind === 'result') return base?.kind === 'result' ? 'accepted' : 'unknown';
    if (base?.kind === 'errno' && base.name === answer.name) return 'unknown';
    return REFUSALS.includes(answer.name) ? 'refused' : 'unknown';
  }

  /** A mistake of the handler's is reported as such. */
  #leaveOpen(leaf: Leaf, answer: Answer): void {
    if (answer.kind === 'result' || answer.kind === 'errno') this.#undecided.add(leaf.path);
  }

  // ---- fields

  async #spoilFields(): Promise<void> {
    if (!writes(this.#def)) return;
    for (const leaf of this.#leaves) {
      if (leaf.reserved) {
        await this.#tryBits(leaf, allBits(leaf), 'reserved-unchecked');
      } else if (!leaf.outOnly) {
        await this.#tryField(leaf);
      }
      if (this.#bench.stuck) return;
    }
  }

  async #tryField(leaf: Leaf): Promise<void> {
    const unknown = isFlags(leaf.field) ? unknownBits(leaf) : undefined;
    if (unknown) await this.#tryBits(leaf, unknown, 'flags-unchecked');
    for (const { value, mask } of unknownValues(leaf)) {
      const answer = await this.#try((bytes) => put(bytes, leaf, value, mask));
      const verdict = this.#compare(answer);
      if (verdict === 'unknown') this.#leaveOpen(leaf, answer);
      if (verdict !== 'accepted') continue;
      const problem = `tried: 0x${value.toString(16)}, which is none of its values, is taken`;
      this.#reportLeaf('value-unchecked', leaf, problem, 'answer EINVAL');
    }
    await this.#tryExtremes(leaf);
  }

  /** One bit at a time; one finding for all that are taken. */
  async #tryBits(leaf: Leaf, bits: readonly number[], rule: RuleId): Promise<void> {
    const taken: number[] = [];
    for (const bit of bits) {
      const answer = await this.#try((bytes) => {
        const at = leaf.offset + (bit >> 3);
        bytes[at] = (bytes[at] ?? 0) | (1 << (bit & 7));
        return undefined;
      });
      const verdict = this.#compare(answer);
      if (verdict === 'accepted') taken.push(bit);
      if (verdict === 'unknown') this.#leaveOpen(leaf, answer);
      if (answer.kind === 'none') return;
    }
    if (taken.length === 0) return;
    const which = taken.length === 1 ? 'bit' : 'bits';
    const problem = `tried: ${which} ${spans(taken)} ${taken.length === 1 ? 'is' : 'are'} taken without a word; programs that pass garbage keep ${taken.length === 1 ? 'it' : 'them'} from ever being used`;
    this.#reportLeaf(rule, leaf, problem, 'answer EINVAL unless it is 0');
  }

  /** The largest, the most negative and so on: what is refused or not is the driver's, but nothing may break. */
  async #tryExtremes(leaf: Leaf): Promise<void> {
    const { kind } = leaf.field.type;
    if (kind === 'pointer') return this.#tryPointer(leaf);
    if (kind === 'chars') return this.#tryString(leaf);
    if (kind !== 'integer') return;
    const bits = BigInt(leaf.size * 8);
    const ones = (1n << bits) - 1n;
    for (const value of [ones, 1n << (bits - 1n), (1n << (bits - 1n)) - 1n]) {
      const answer = await this.#try((bytes) => put(bytes, leaf, value));
      if (answer.kind === 'none') return;
      if (value !== ones || this.#compare(answer) !== 'accepted') continue;
      if (this.#countsAnArray(leaf)) {
        const problem = `tried: ${ones} elements are taken, of an array that the program cannot have`;
        this.#reportLeaf(
          'count-unchecked',
          leaf,
          problem,
          'check it before it is multiplied: EINVAL',
        );
      }
    }
    if (/(^|_)(tv_)?nsec$/.test(leaf.field.name)) {
      const answer = await this.#try((bytes) => put(bytes, leaf, 1_000_000_000n));
      if (this.#compare(answer) === 'accepted') {
        const problem = 'tried: 1,000,000,000 is taken, which is a second more';
        this.#reportLeaf('time-normalized', leaf, problem, 'answer EINVAL from 1,000,000,000 on');
      }
    }
  }

  /** The number of elements that are taken; where it says how much room there is, any number will do. */
  #countsAnArray({ struct, field, doc }: Leaf): boolean {
    const isCount = /^(count|num_\w+|nr_\w+|n_\w+|\w+_count)$/.test(field.name);
    const isRoom = /\broom\b|\bout:/i.test(doc);
    const { kind } = { kind: struct.fields.map((other) => other.type.kind) };
    return isCount && !isRoom && (kind.includes('pointer') || kind.includes('flexible'));
  }

  async #tryPointer(leaf: Leaf): Promise<void> {
    let isNull = true;
    const answer = await this.#try((bytes) => {
      isNull = bytes.subarray(leaf.offset, leaf.offset + 8).every((byte) => byte === 0);
      return put(bytes, leaf, BigInt(UNMAPPED));
    });
    if (isNull || this.#compare(answer) !== 'accepted') return;
    const problem = 'tried: an address where nothing is mapped is taken';
    this.#reportLeaf('pointer-unchecked', leaf, problem, 'use copyFromUser and copyToUser: EFAULT');
  }

  async #tryString(leaf: Leaf): Promise<void> {
    const answer = await this.#try((bytes) => {
      bytes.fill(0x78, leaf.offset, leaf.offset + leaf.size);
      return undefined;
    });
    if (this.#compare(answer) !== 'accepted' || /\bNUL\b|terminat|cut off/i.test(leaf.doc)) return;
    const problem = `tried: ${leaf.size} bytes without a NUL are taken, and it is not said what becomes of them`;
    this.#reportLeaf(
      'string-unterminated',
      leaf,
      problem,
      'say that it is cut off, or answer EINVAL',
    );
  }

  // ---- the argument as a whole

  async #spoilArgument(): Promise<void> {
    if (this.#def.arg || _IOC_SIZE(this.#def.request) > 0) return;
    const answers = [await this.#try(() => 1), await this.#try(() => 0x7fffffff)];
    const differs = answers.some(
      (answer) =>
        answer.kind !== this.#base?.kind ||
        (answer.kind === 'result' &&
          this.#base.kind === 'result' &&
          answer.value !== this.#base.value),
    );
    if (!differs) return;
    const problem =
      'tried: its answer depends on the number that is passed in the place of a pointer';
    this.#report('argument-integer', problem, 'take a pointer to a `u32`, by _IOW');
  }

  async #spoilPointer(): Promise<void> {
    const { arg } = this.#def;
    const isCopied = writes(this.#def) || (reads(this.#def) && this.#base?.kind === 'result');
    if (!arg || !isCopied) return;
    for (const [address, what] of [
      [0, 'NULL'],
      [UNMAPPED, 'an address where nothing is mapped'],
    ] as const) {
      const answer = await this.#try(() => address);
      if (answer.kind === 'bug' || (answer.kind === 'errno' && answer.name === 'EFAULT')) continue;
      this.#report(
        'argument-fault',
        `tried: ${what} is answered by ${shown(answer)}`,
        'answer EFAULT',
      );
    }
  }

  async #spoilRequest(table: IoctlTable, extensible: boolean): Promise<void> {
    const { arg, request } = this.#def;
    const [dir, type, nr, size] = [
      _IOC_DIR(request),
      _IOC_TYPE(request),
      _IOC_NR(request),
      _IOC_SIZE(request),
    ];
    const taken = new Set<number>(Object.values(table).map((def) => def.request));
    for (const other of arg && arg.kind !== 'cstring' ? [size - 4, size + 4] : []) {
      const wrong: number =
        other > 0 && other <= _IOC_SIZEMASK ? _IOC(dir, type, nr, other) : request;
      if (taken.has(wrong) || (extensible && other < size)) continue;
      const answer = await this.#try((bytes) => ({ bytes: resized(bytes, other) }), wrong);
      const wanted = extensible ? 'E2BIG' : 'ENOTTY';
      // What is only given needs no room that it knows of.
      if (extensible && !writes(this.#def)) continue;
      if (answer.kind === 'errno' && (answer.name === wanted || answer.name !== 'EINVAL')) continue;
      const what = `a struct of ${other} bytes${extensible ? ' whose end is not 0' : ''}`;
      this.#report(
        'size-unchecked',
        `tried: ${what} is answered by ${shown(answer)}`,
        `answer ${wanted}`,
      );
    }
    const used = new Set(Object.values(table).map((def) => _IOC_NR(def.request)));
    const free = Array.from({ length: 256 }, (_, i) => 255 - i).find((n) => !used.has(n));
    if (free === undefined) return;
    const answer = await this.#try(() => undefined, _IOC(dir, type, free, size));
    if (answer.kind === 'errno' && answer.name === 'ENOTTY') return;
    const problem = `tried: number 0x${free.toString(16)} of its type, which is none, is answered by ${shown(answer)}`;
    this.#report('number-unknown', problem, 'answer ENOTTY');
  }

  // ---- what all the calls show

  #judgeBehaviour(): void {
    const bugs = new Set(this.#answers.flatMap((one) => (one.kind === 'bug' ? [one.text] : [])));
    for (const text of bugs) {
      this.#report(
        'handler-bug',
        `tried: it threw ${text}; a program gets EIO, and the log a BUG`,
        'check the argument first, and throw errno(…)',
      );
    }
    const stuck = this.#answers.slice(1).some((one) => one.kind === 'none');
    if (stuck)
      this.#report(
        'handler-stuck',
        'tried: for some arguments it does not answer within a second',
        'check the argument first; let O_NONBLOCK and call.signal end what waits',
      );
    this.#judgeErrnos();
    this.#judgeResults();
    this.#judgeDirections();
  }

  #judgeErrnos(): void {
    const { errors } = this.#def;
    if (!errors) return;
    const allowed = new Set([...errors, ...IMPLIED]);
    const thrown = this.#answers
      .filter((one) => one.kind === 'errno' && one.seen.called && !allowed.has(one.name))
      .map((one) => (one.kind === 'errno' ? one.name : ''));
    if (thrown.length === 0) return;
    const names = [...new Set(thrown)].join(', ');
    this.#report(
      'errno-undeclared',
      `tried: it answers ${names}, which is not among its \`errors\``,
      'add it there, and to the documentation',
    );
  }

  #judgeResults(): void {
    const done = this.#answers.filter((one) => one.kind === 'result');
    if (done.some((one) => one.kind === 'result' && one.value > 0)) {
      this.#report(
        'result-positive',
        'tried: it answers a number that is not 0',
        'give it in a field of the struct',
      );
    }
    const canAsk = this.#leaves.some(({ field }) =>
      field.flags?.some(({ name }) => /CLOEXEC/.test(name)),
    );
    if (!canAsk && done.some((one) => !one.cloexec)) {
      this.#report(
        'fd-cloexec',
        'tried: it gives a descriptor that programs which are executed inherit',
        'give it with O_CLOEXEC, or let a flag ask for that',
      );
    }
  }

  #judgeDirections(): void {
    const { arg, name } = this.#def;
    if (!arg) return;
    const done = this.#answers.filter((one) => one.kind === 'result').map((one) => one.seen);
    const union = (pick: 'read' | 'written') => [
      ...new Set(done.flatMap((seen) => [...seen[pick]])),
    ];
    const wrote = done.some((seen) => seen.changed || seen.written.size > 0);
    if (!reads(this.#def) && wrote) {
      const fields = (isStruct(arg) && union('written').join(', ')) || 'its argument';
      this.#report(
        'direction-write-lost',
        `tried: it writes ${fields}, but _IOW copies nothing out`,
        'make it `iowr`',
      );
    }
    if (
      reads(this.#def) &&
      writes(this.#def) &&
      done.length > 0 &&
      !wrote &&
      !done.some((seen) => seen.opaque)
    ) {
      this.#report(
        'direction-unwritten',
        `tried: ${name} is _IOWR, and never writes its argument`,
        'make it `iow`',
      );
    }
    if (!writes(this.#def)) {
      const fields = [...new Set(this.#answers.flatMap(({ seen }) => [...seen.read]))];
      if (fields.length > 0) {
        this.#report(
          'direction-read-stale',
          `tried: it reads ${isStruct(arg) ? fields.join(', ') : 'its argument'}, but _IOR copies nothing in: that is 0`,
          'make it `iowr`',
        );
      }
    }
  }

  #tellUndecided(): void {
    if (this.#undecided.size === 0) return;
    const fields = [...this.#undecided].join(', ');
    const { name } = this.#def;
    const base = this.#base;
    const given = this.#bench.hasExample(this.#def);
    const why =
      base?.kind === 'errno'
        ? `${given ? 'its example' : 'an argument of zeros'} is answered by ${base.name} anyway`
        : 'it is refused, but not as such: with EINVAL';
    const problem = `whether ${fields} ${this.#undecided.size === 1 ? 'is' : 'are'} checked cannot be told: ${why}`;
    const remedy =
      base?.kind === 'errno'
        ? `give an argument that is right: \`examples: { ${name}: … }\``
        : 'check what is not used before everything else';
    this.#report('undecided', problem, remedy);
  }
}

function shown(answer: Answer): string {
  if (answer.kind === 'errno') return answer.name;
  return answer.kind === 'result' ? `success (${answer.value})` : 'nothing';
}

function allBits({ size }: Leaf): number[] {
  const bits = Array.from({ length: size * 8 }, (_, bit) => bit);
  return bits.length <= BITS ? bits : bits.filter((bit) => bit % 8 === 0).slice(0, BITS);
}

/** `0-30, 32` */
function spans(bits: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const bit of bits) {
    const last = parts.at(-1);
    if (last && last[1] === bit - 1) last[1] = bit;
    else parts.push([bit, bit]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

/** Sets the bits of a field under `mask`, little-endian. */
function put(bytes: Uint8Array, leaf: Leaf, value: bigint, mask?: bigint): undefined {
  for (let i = 0; i < leaf.size; i++) {
    const at = leaf.offset + i;
    const shift = BigInt(8 * i);
    const keep = mask === undefined ? 0 : Number((~mask >> shift) & 0xffn);
    bytes[at] = ((bytes[at] ?? 0) & keep) | Number((value >> shift) & 0xffn);
  }
}

/** The same bytes, with what is more all ones. */
function resized(bytes: Uint8Array, size: number): Uint8Array {
  const other = new Uint8Array(Math.max(size, 0)).fill(0xff);
  other.set(bytes.subarray(0, size));
  return other;
}
