/** Calls on a device that is linted: each on a file of its own, in a kernel of its own for each ioctl. */
import { readFileSync } from 'node:fs';
import { type IoctlArg, type IoctlDef, O_CLOEXEC, O_RDONLY, O_RDWR } from '../../../ioctl/index.js';
import { Kernel } from '../../../src/kernel.js';
import type { DeviceDefinition, DeviceOptions } from '../../../src/kit/define_device.js';
import { ExampleSetting } from '../../../src/kit/examples.js';
import { SystemError } from '../../../src/native.js';
import { spied, Witness } from './spy.js';

/** Milliseconds after which a handler is said never to answer. */
const PATIENCE = 1000;

/** How a call ended. */
export type Answer = { readonly seen: Witness; readonly cloexec: boolean } & (
  | { readonly kind: 'result'; readonly value: number }
  | { readonly kind: 'errno'; readonly name: string }
  /** Something was thrown that is no errno: EIO for a program, and a line in the kernel log. */
  | { readonly kind: 'bug'; readonly text: string }
  | { readonly kind: 'none' }
);

/** What is passed: memory, an address, or a number. */
export type Passed = IoctlArg | number;

/** How a device comes into a kernel. */
export type Install = (kernel: Kernel, definition: DeviceDefinition) => void;

export class Bench {
  readonly #kernel = new Kernel({ fenceTimeout: 0 });
  readonly #definition: DeviceDefinition;
  #witness = new Witness();
  readonly #remove: () => void;
  /** Calls that were made. */
  calls = 0;
  /** Set when a handler did not answer: each further call would take as long. */
  stuck = false;

  /** @throws what the device's `probe` throws. */
  constructor(definition: DeviceDefinition, options: DeviceOptions, install?: Install) {
    this.#definition = definition;
    if (install) {
      install(this.#kernel, definition);
      this.#remove = () => {};
      return;
    }
    const device = this.#kernel.addDevice(
      spied(definition, () => this.#witness),
      options,
    );
    this.#remove = () => device.remove();
  }

  /** A new open file. @throws SystemError */
  open(): number {
    const path = `/dev/${this.#definition.name}`;
    try {
      return this.#kernel.sys.open(path, O_RDWR | O_CLOEXEC);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return this.#kernel.sys.open(path, O_RDONLY | O_CLOEXEC);
    }
  }

  /** One call, with the example of `def` as `spoil` changes it. @throws what the example throws. */
  async call(
    def: IoctlDef,
    spoil: (bytes: Uint8Array) => Passed | undefined = () => undefined,
    request: number = def.request,
  ): Promise<Answer> {
    this.calls++;
    const { sys } = this.#kernel;
    const fd = this.open();
    const setting = new ExampleSetting(this.#kernel.sys, fd);
    try {
      const example = this.#example(def, setting);
      const passed = typeof example === 'number' ? example : (spoil(example.bytes) ?? example);
      const number = typeof example === 'number' ? spoil(new Uint8Array()) : undefined;
      return await this.#make(fd, request, number ?? passed);
    } finally {
      setting.close();
      sys.close(fd);
    }
  }

  /** Zeros, where the definition has no example. */
  #example(def: IoctlDef, setting: ExampleSetting): IoctlArg | number {
    const given = (this.#definition.examples as Record<string, unknown> | undefined)?.[def.name];
    // The setting's own requests are not what is looked at: neither before this call, nor with the one before it.
    this.#witness = new Witness();
    const init = typeof given === 'function' ? (given(setting) as unknown) : given;
    this.#witness = new Witness();
    if (!def.arg) return typeof init === 'number' ? init : 0;
    return def.arg.create(init);
  }

  hasExample(def: IoctlDef): boolean {
    return def.name in (this.#definition.examples ?? {});
  }

  async #make(fd: number, request: number, argument: Passed): Promise<Answer> {
    const seen = this.#witness;
    const { log, sys } = this.#kernel;
    const logged = log.records.length;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), PATIENCE);
    });
    try {
      const value = await Promise.race([sys.promises.ioctl(fd, request, argument), late]);
      if (value === undefined) {
        this.stuck = true;
        return { kind: 'none', seen, cloexec: true };
      }
      return { kind: 'result', value, seen, cloexec: this.#closeGiven(seen) };
    } catch (error) {
      const line = log.records.slice(logged).find(({ text }) => text.startsWith('BUG'))?.text;
      const [bug] = [seen.bug, line?.split('\n')[0]].filter((text) => text !== undefined);
      const base = { seen, cloexec: true };
      if (bug !== undefined) return { kind: 'bug', text: bug, ...base };
      if (error instanceof SystemError) return { kind: 'errno', name: error.code, ...base };
      return { kind: 'bug', text: String(error), ...base };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes what the call gave; whether all of it would have been closed by exec. */
  #closeGiven({ fds }: Witness): boolean {
    let all = true;
    for (const fd of fds) {
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8);
      all &&= (flags & O_CLOEXEC) !== 0;
      this.#kernel.sys.close(fd);
    }
    return all;
  }

  close(): void {
    this.#remove();
    this.#kernel.close();
  }
}
