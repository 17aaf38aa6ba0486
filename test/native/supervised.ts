/** A program behind a hand-made filter, for the tests of the native helper. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { check, launcher, native } from '../../src/native.js';
import { compile as compileC } from '../programs.js';

const EINTR = 4;
const CONTINUE = 1;
export const POLLIN = 1;
export const POLLHUP = 0x10;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const SOCK_STREAM = 1;
export const SOCK_SEQPACKET = 5;
export const O_CLOEXEC = 0o2000000;
export const WAIT_KILLABLE_RECV = 1 << 5;

/** In the upper half of mmap's flags it lets our own mappings pass the filter. */
export const MAGIC = 0x5eed;
export const REQUEST = 0x40086200;

const offsetOf = { nr: 0, arch: 4, args: 16 };
const LD = 0x20;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;
const USER_NOTIF = 0x7fc00000;
const ALLOW = 0x7fff0000;

/** `[code, jt, jf, k]` each, as in struct sock_filter. */
function assemble(program: [number, number, number, number][]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return bytes;
}

/** Notifies ioctl(REQUEST) and shared mappings of descriptors that lack the magic number. */
export const filter = assemble([
  [LD, 0, 0, offsetOf.arch],
  [JEQ, 0, 12, native.AUDIT_ARCH],
  [LD, 0, 0, offsetOf.nr],
  [JEQ, 0, 2, native.SYS.ioctl as number],
  [LD, 0, 0, offsetOf.args + 8],
  [JEQ, 7, 8, REQUEST],
  [JEQ, 0, 7, native.SYS.mmap as number],
  [LD, 0, 0, offsetOf.args + 3 * 8],
  [JSET, 0, 5, MAP_SHARED],
  [LD, 0, 0, offsetOf.args + 3 * 8 + 4],
  [JEQ, 3, 0, MAGIC],
  [LD, 0, 0, offsetOf.args + 4 * 8],
  [JEQ, 1, 0, 0xffffffff],
  [RET, 0, 0, USER_NOTIF],
  [RET, 0, 0, ALLOW],
]);

const programs = fileURLToPath(new URL('programs/', import.meta.url));
/** A program of test/native/programs: its path. */
export function compile(name: string): string {
  return compileC(`${programs}${name}.c`, 'dynamic');
}

/** struct pollfd[1] waiting for input. Answers revents, 0 after `timeout` ms. */
export function pollFd(fd: number, timeout: number): number {
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, POLLIN, true);
  const ready = native.poll(new Uint8Array(entry.buffer), timeout);
  if (ready === -EINTR) return pollFd(fd, timeout);
  check('poll', ready);
  return entry.getInt16(6, true);
}

/** The fields of struct seccomp_notif, over one buffer that {@link Supervised.receive} fills. */
export class Notif {
  readonly bytes = new Uint8Array(80);
  readonly #view = new DataView(this.bytes.buffer);
  get id(): bigint {
    return this.#view.getBigUint64(0, true);
  }
  get pid(): number {
    return this.#view.getUint32(8, true);
  }
  get nr(): number {
    return this.#view.getInt32(16, true);
  }
  arg(index: number): number {
    return Number(this.#view.getBigUint64(32 + index * 8, true));
  }
}

export interface Report {
  step: number;
  error: number;
  listener: number | undefined;
}

function receiveReport(socket: number): Report | undefined {
  const fds: number[] = [];
  const bytes = new Uint8Array(8);
  const received = check('recvmsg', native.recvmsg(socket, bytes, fds, 0));
  if (received === 0) return undefined;
  const view = new DataView(bytes.buffer);
  return { step: view.getUint32(0, true), error: view.getInt32(4, true), listener: fds[0] };
}

export interface Options {
  flags?: number;
  /** More descriptors for the program, from number 4 on. */
  fds?: number[];
  /** Bytes for the launcher in place of flags and filter. */
  message?: Uint8Array;
  /** Started through this command ("strace -o file"). */
  through?: string[];
}

export class Supervised {
  readonly child: ChildProcess;
  readonly notif = new Notif();
  readonly report: Report | undefined;
  readonly #socket: number;
  readonly #response = new DataView(new ArrayBuffer(24));
  #stdout = '';
  #stderr = '';

  constructor(command: string[], options: Options = {}) {
    const [ours, theirs] = check('socketpair', native.socketpair(SOCK_SEQPACKET));
    const message = options.message ?? new Uint8Array(4 + filter.length);
    if (!options.message) {
      new DataView(message.buffer).setUint32(0, options.flags ?? WAIT_KILLABLE_RECV, true);
      message.set(filter, 4);
    }
    check('sendmsg', native.sendmsg(ours, message, [], 0));
    const all = [...(options.through ?? []), launcher, '3', ...command];
    this.child = spawn(all[0] as string, all.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe', theirs, ...(options.fds ?? [])],
    });
    this.child.stdout?.on('data', (data) => {
      this.#stdout += data;
    });
    this.child.stderr?.on('data', (data) => {
      this.#stderr += data;
    });
    native.close(theirs);
    this.#socket = ours;
    this.report = receiveReport(ours);
  }

  get listener(): number {
    if (this.report?.listener === undefined) throw new Error('no listener');
    return this.report.listener;
  }

  /** The launcher's next message: that exec has failed. */
  laterReport(): Report | undefined {
    return receiveReport(this.#socket);
  }

  /** The next notification into `notif`; false at the program's end. */
  receive(timeout = 5000): boolean {
    for (;;) {
      const revents = pollFd(this.listener, timeout);
      if (revents & POLLIN) {
        const received = native.notifRecv(this.listener, this.notif.bytes);
        if (received === 0) return true;
        if (received === -2) continue; // killed meanwhile
        check('notifRecv', received);
      }
      if (revents & POLLHUP) return false;
      if (revents === 0) throw new Error('no notification');
    }
  }

  /** Answers with a value, a negative errno, or with {@link CONTINUE}. */
  send(value: bigint, error = 0, flags = 0): number {
    this.#response.setBigUint64(0, this.notif.id, true);
    this.#response.setBigInt64(8, value, true);
    this.#response.setInt32(16, error, true);
    this.#response.setUint32(20, flags, true);
    return native.notifSend(this.listener, new Uint8Array(this.#response.buffer));
  }

  /** Lets the real kernel answer everything (libc maps locale files), until the end. */
  letRun(): void {
    while (this.receive()) this.send(0n, 0, CONTINUE);
  }

  /** Waits for the end; answers what the program printed and how it ended. */
  async end(): Promise<{
    stdout: string;
    stderr: string;
    code: number | null;
    signal: string | null;
  }> {
    if (this.child.exitCode === null && this.child.signalCode === null)
      await once(this.child, 'close');
    native.close(this.#socket);
    if (this.report?.listener !== undefined) native.close(this.report.listener);
    const { exitCode: code, signalCode: signal } = this.child;
    return { stdout: this.#stdout, stderr: this.#stderr, code, signal };
  }
}
