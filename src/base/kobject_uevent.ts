/** What the kernel tells of its objects. Linux: lib/kobject_uevent.c. */
import { errno } from '../errno.js';
import { PerKernel, type StateHolder } from '../per_kernel.js';

/** enum kobject_action */
export const KOBJECT_ACTIONS = [
  'add',
  'remove',
  'change',
  'move',
  'online',
  'offline',
  'bind',
  'unbind',
] as const;
export type KobjectAction = (typeof KOBJECT_ACTIONS)[number];

const UEVENT_NUM_ENVP = 64;
const UEVENT_BUFFER_SIZE = 2048;

/** struct kobj_uevent_env: `KEY=value`, one after the other. */
export class UeventEnv {
  readonly #vars: string[] = [];
  #bytes = 0;

  /** add_uevent_var(). ENOMEM for the 65th, and where the texts are of more than 2048 bytes. */
  add(text: string): void {
    this.#bytes += Buffer.byteLength(text) + 1;
    if (this.#vars.length >= UEVENT_NUM_ENVP || this.#bytes > UEVENT_BUFFER_SIZE) {
      throw errno('ENOMEM');
    }
    this.#vars.push(text);
  }

  get vars(): readonly string[] {
    return this.#vars;
  }
}

/** What has a directory in sysfs, and tells what happens to it: struct kobject. */
export interface Kobject {
  readonly kernel: StateHolder;
  /** Its directory, below /sys: `/devices/virtual/misc/udmabuf`. */
  readonly devpath: string;
  /** Without one, nothing is told. */
  readonly subsystem: string | undefined;
  /** Adds what its kind has to say. */
  uevent?(env: UeventEnv): void;
}

/** An event, as listeners get it. */
export interface Uevent {
  readonly kobj: Kobject;
  readonly action: KobjectAction;
  /** `ACTION`, `DEVPATH`, `SUBSYSTEM` and the rest. */
  readonly vars: readonly string[];
}

interface Uevents {
  seqnum: number;
  readonly listeners: Set<(event: Uevent) => void>;
}

const uevents = new PerKernel<StateHolder, Uevents>(() => ({ seqnum: 0, listeners: new Set() }));

/** The number of the last event: /sys/kernel/uevent_seqnum. */
export function ueventSeqnum(kernel: StateHolder): number {
  return uevents.of(kernel).seqnum;
}

/** Has `listener` called with each event, in order; the answer of this function ends it. */
export function onUevent(kernel: StateHolder, listener: (event: Uevent) => void): () => void {
  const { listeners } = uevents.of(kernel);
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** kobject_uevent_env(): tells programs of an event, with more to say about it. ENOMEM if that is too much. */
export function kobjectUeventEnv(
  kobj: Kobject,
  action: KobjectAction,
  envp: readonly string[] = [],
): void {
  const { kernel, devpath, subsystem } = kobj;
  if (subsystem === undefined) return;
  const env = new UeventEnv();
  const texts = [`ACTION=${action}`, `DEVPATH=${devpath}`, `SUBSYSTEM=${subsystem}`, ...envp];
  for (const text of texts) env.add(text);
  kobj.uevent?.(env);
  const state = uevents.of(kernel);
  env.add(`SEQNUM=${state.seqnum + 1}`);
  state.seqnum++;
  for (const listener of state.listeners) listener({ kobj, action, vars: env.vars });
}

/** kobject_uevent() */
export function kobjectUevent(kobj: Kobject, action: KobjectAction): void {
  kobjectUeventEnv(kobj, action);
}

const UUID = '[\\da-fA-F]{8}(?:-[\\da-fA-F]{4}){3}-[\\da-fA-F]{12}';
const SYNTHETIC = new RegExp(
  `^(${KOBJECT_ACTIONS.join('|')})(?: (${UUID})((?: [A-Za-z\\d]+=[A-Za-z\\d]+)*))?$`,
);

/**
 * kobject_synth_uevent(): what is written to a `uevent` file, `change`, or `add UUID KEY=value …`, sends that event.
 * EINVAL for anything else; ENOMEM as {@link kobjectUeventEnv}.
 */
export function kobjectSynthUevent(kobj: Kobject, text: string): void {
  const match = SYNTHETIC.exec(text.replace(/[\n\0]$/, ''));
  if (!match) throw errno('EINVAL');
  const [, action, uuid, args = ''] = match;
  const env = new UeventEnv();
  try {
    env.add(`SYNTH_UUID=${uuid ?? 0}`);
    for (const arg of args.split(' ').slice(1)) env.add(`SYNTH_ARG_${arg}`);
  } catch {
    throw errno('EINVAL');
  }
  kobjectUeventEnv(kobj, action as KobjectAction, env.vars);
}
