/**
 * poll(2), select(2) and their kin, where a file of ours is among the descriptors and is not ready: to
 * the machine it is a memfd, and ready always. Calls that name none such are the machine's own.
 */
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  s64,
  struct,
  u64,
} from '../../../ioctl/index.js';
import { POLLFD_SIZE } from '../../abi/constants.js';
import { Errno, errno } from '../../errno.js';
import { readinessOf } from '../../fs/readiness.js';
import { type SignalMask, Wait } from '../../fs/wait_queue.js';
import { readLimit } from '../../host/limits.js';
import { statusOf } from '../../host/status.js';
import { copyFromUser, copyToUser } from '../../mm/uaccess.js';
import {
  machineFinds,
  oursAmong,
  type PollEntry,
  PollWait,
  reventsNow,
} from '../../syscall/poll_set.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';

/** There is room for so many in the table of every process. */
const FEW_FDS = 64;

// What select(2) takes for readable, writable and exceptional (fs/select.c).
const POLLIN_SET = POLLIN | 0x040 | 0x080 | POLLHUP | POLLERR;
const POLLOUT_SET = POLLOUT | 0x100 | 0x200 | POLLERR;
const POLLEX_SET = POLLPRI;

/** Both have two words of 64 bits: seconds, and microseconds or nanoseconds. */
const timespec = struct('timespec', { tv_sec: s64, tv_nsec: s64 });
/** The last argument of pselect6: a pointer, and the size of what it points at. */
const sigset_argument = struct('sigset_argument', { ss: u64, ss_len: u64 });

/** Milliseconds, or undefined for none. */
type Timeout = number | undefined;

interface Waiting {
  entries: PollEntry[];
  timeout: Timeout;
  /** The signals to be blocked meanwhile, if the call says so. */
  sigmask?: SignalMask | undefined;
  /** Whether two findings are one to the caller, who asks for `events`. */
  same: (events: number, found: number, machine: number) => boolean;
  /** Writes the time that is left where the caller wants it. */
  tellLeft: (left: number) => void;
  /** Takes what there is, writes it where the caller wants it, and gives the call's result. */
  answer: (revents: number[]) => number;
}

/** Waits for any of the entries, if the machine may be wrong about one that is of ours; else it is not our call. */
function waitFor(call: Call, waiting: Waiting): Answer {
  const { entries, timeout, sigmask, same, tellLeft, answer } = waiting;
  const { task } = call;
  const traced = isTraced(call);
  const ours = oursAmong(task, entries, traced);
  if (!ours) return CONTINUE;
  if (!traced && machineFinds(entries, ours, timeout !== 0, same)) return CONTINUE;
  const now = performance.now();
  call.deadline ??= timeout === undefined ? Number.POSITIVE_INFINITY : now + timeout;
  const left = Math.max(0, call.deadline - now);
  const revents = reventsNow(task, entries, ours);
  if (left === 0 || revents.some((events) => events !== 0)) {
    const result = answer(revents);
    tellLeft(Math.max(0, call.deadline - performance.now()));
    return result;
  }
  const { deadline } = call;
  const wait = new PollWait(task, entries, ours);
  return new Wait(wait.sources, wait.timeout(left), {
    interrupted: Errno.ERESTARTNOHAND,
    sigmask,
    onInterrupt: () => tellLeft(Math.max(0, deadline - performance.now())),
  });
}

/** For arrays that are looked at, and then of no interest. */
const few = new Int32Array((FEW_FDS * POLLFD_SIZE) / 4);
const fewBytes = Array.from(
  { length: FEW_FDS + 1 },
  (_, count) => new Uint8Array(few.buffer, 0, count * POLLFD_SIZE),
);

/** Whether a call can name a file that we have to answer for: most do not, and are to cost little. */
function mayName(call: Call): boolean {
  const { anyBusy, anyHigh, untrue } = readinessOf(call.task.kernel);
  const bytes = fewBytes[call.uint(1)];
  if (anyBusy || isTraced(call) || !bytes) return true;
  call.task.mm.read(call.arg(0), bytes);
  const words = bytes.length / 4;
  for (let i = 0; i < words; i += 2) {
    if (anyHigh && call.task.mayHave(few[i] as number)) return true;
    if ((few[i + 1] as number) & untrue) return true;
  }
  return false;
}

function readPollFds(call: Call): { entries: PollEntry[]; array: Uint8Array } {
  const count = call.uint(1);
  if (count > FEW_FDS && count > readLimit(call.tid, 'Max open files')) throw errno('EINVAL');
  const array = new Uint8Array(count * POLLFD_SIZE);
  call.task.mm.read(call.arg(0), array);
  const view = new DataView(array.buffer);
  const entries = Array.from({ length: count }, (_, i) => ({
    fd: view.getInt32(i * POLLFD_SIZE, true),
    events: view.getUint16(i * POLLFD_SIZE + 4, true),
  }));
  return { entries, array };
}

function pollFds(
  call: Call,
  timeout: Timeout,
  sigmask?: SignalMask,
  tellLeft: (left: number) => void = () => {},
): Answer {
  if (!mayName(call)) return CONTINUE;
  const { entries, array } = readPollFds(call);
  const { mm } = call.task;
  const address = call.arg(0);
  return waitFor(call, {
    entries,
    timeout,
    sigmask,
    same: (_events, found, machine) => found === machine,
    tellLeft,
    answer(revents) {
      const view = new DataView(array.buffer);
      revents.forEach((events, i) => {
        view.setInt16(i * POLLFD_SIZE + 6, events, true);
      });
      mm.write(address, array);
      return revents.filter((events) => events !== 0).length;
    },
  });
}

/** A struct timespec or timeval, with `unit` of its second field in a second; undefined for NULL. */
function readTimeout(call: Call, index: number, unit: number): Timeout {
  const address = call.arg(index);
  if (address === 0) return undefined;
  const { tv_sec, tv_nsec } = copyFromUser(call.task.mm, address, timespec);
  // Of microseconds there may be more than a second has.
  if (tv_sec < 0n || tv_nsec < 0n || (unit === NANOSECONDS && tv_nsec >= unit))
    throw errno('EINVAL');
  const timeout = Number(tv_sec) * 1000 + (Number(tv_nsec) * 1000) / unit;
  return Math.min(timeout, Number.MAX_SAFE_INTEGER);
}

/** Linux leaves the time that was not needed in the argument. It may be told when `call` is another one's already. */
function tellLeft(call: Call, index: number, unit: number): (left: number) => void {
  const address = call.arg(index);
  const { mm } = call.task;
  return (left) => {
    if (address === 0 || !Number.isFinite(left)) return;
    const seconds = Math.floor(left / 1000);
    const part = Math.floor(((left - seconds * 1000) * unit) / 1000);
    const rest = timespec.create({ tv_sec: BigInt(seconds), tv_nsec: BigInt(part) });
    copyToUser(mm, address, rest);
  };
}

function readSigmask(call: Call, address: number, size: number): SignalMask | undefined {
  if (address === 0) return undefined;
  if (size !== u64.size) throw errno('EINVAL');
  return { signals: copyFromUser(call.task.mm, address, u64).value, address };
}

const NO_MASK = sigset_argument.create({});
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

interface FdSet {
  address: number;
  bytes: Uint8Array;
  events: number;
}

function selectFds(call: Call, timeout: Timeout, unit: number, sigmask?: SignalMask): Answer {
  let count = call.int(0);
  if (count < 0) return CONTINUE;
  // What the table has no room for is not looked at.
  if (count > FEW_FDS) count = Math.min(count, statusOf(call.tid).number('FDSize'));
  // Sets are arrays of unsigned long.
  const size = Math.ceil(count / 64) * 8;
  const sets = [POLLIN_SET, POLLOUT_SET, POLLEX_SET].map((events, i): FdSet => {
    const address = call.arg(1 + i);
    const bytes = new Uint8Array(size);
    if (address !== 0) call.task.mm.read(address, bytes);
    return { address, bytes, events };
  });
  const has = ({ bytes }: FdSet, fd: number) => ((bytes[fd >> 3] as number) >> (fd & 7)) & 1;
  const entries: PollEntry[] = [];
  for (let fd = 0; fd < count; fd++) {
    const events = sets.reduce((sum, set) => (has(set, fd) ? sum | set.events : sum), 0);
    if (events !== 0) entries.push({ fd, events });
  }
  return waitFor(call, {
    entries,
    timeout,
    sigmask,
    same: (events, found, machine) =>
      sets.every(
        (set) =>
          (events & set.events) !== set.events || !(found & set.events) === !(machine & set.events),
      ),
    tellLeft: tellLeft(call, 4, unit),
    answer(revents) {
      if (revents.some((events) => events & POLLNVAL)) return -Errno.EBADF;
      let total = 0;
      for (const set of sets) {
        const result = new Uint8Array(size);
        entries.forEach(({ fd }, i) => {
          if (!has(set, fd) || ((revents[i] as number) & set.events) === 0) return;
          result[fd >> 3] = (result[fd >> 3] as number) | (1 << (fd & 7));
          total++;
        });
        if (set.address !== 0) call.task.mm.write(set.address, result);
      }
      return total;
    },
  });
}

/** Who looks on is to see what comes of it: of a call that the machine makes that is not known. */
const isTraced = (call: Call) => call.traced !== undefined;

/** Whether there may be a file that we have to answer for. */
function isAsked(call: Call): boolean {
  const { anyBusy, anyHigh } = readinessOf(call.task.kernel);
  return anyBusy || anyHigh || isTraced(call);
}

/** A call is only worth while to be looked at where there is a file that the machine may be wrong about. */
const ifAny =
  (handler: Handler): Handler =>
  (call) => {
    const readiness = readinessOf(call.task.kernel);
    return isAsked(call) || readiness.untrue !== 0 ? handler(call) : CONTINUE;
  };

/** select(2) asks for what such files say anyway: it only matters that they may not be ready. */
const ifBusy =
  (handler: Handler): Handler =>
  (call) =>
    isAsked(call) ? handler(call) : CONTINUE;

export const pollCalls = {
  poll: ifAny((call) => {
    const timeout = call.int(2);
    return pollFds(call, timeout < 0 ? undefined : timeout);
  }),
  ppoll: ifAny((call) =>
    pollFds(
      call,
      readTimeout(call, 2, NANOSECONDS),
      readSigmask(call, call.arg(3), call.arg(4)),
      tellLeft(call, 2, NANOSECONDS),
    ),
  ),
  select: ifBusy((call) => selectFds(call, readTimeout(call, 4, MICROSECONDS), MICROSECONDS)),
  pselect6: ifBusy((call) => {
    const address = call.arg(5);
    const mask = address === 0 ? NO_MASK : copyFromUser(call.task.mm, address, sigset_argument);
    const timeout = readTimeout(call, 4, NANOSECONDS);
    const sigmask = readSigmask(call, Number(mask.ss), Number(mask.ss_len));
    return selectFds(call, timeout, NANOSECONDS, sigmask);
  }),
} satisfies Record<string, Handler>;
