/** Points in time and timeouts. */
import type { Field } from '../../ioctl/index.js';
import { elementOf } from '../types.js';
import { type LintedStruct, type Surface, writes } from './surface.js';

/** When something happened, or is to happen: not how long it takes. */
const POINT =
  /(^|_)(timestamp|deadline|expires|expiry|abs_?time|timestamps|when)(_(ns|us|ms))?$|^time(_(ns|us))?$/;
const TIMEOUT = /(^|_)timeout(_(ns|us|ms|nsec|usec|msec|jiffies))?$/;

export function lintTime(surface: Surface): void {
  for (const struct of surface.structs) {
    if (struct.anonymous) continue;
    for (const field of struct.type.fields) lintField(surface, struct, field);
    lintSplit(surface, struct);
  }
}

function lintField(surface: Surface, struct: LintedStruct, field: Field): void {
  const isTimeout = TIMEOUT.test(field.name);
  const element = elementOf(field.type);
  if (!(isTimeout || POINT.test(field.name)) || element.kind !== 'integer') return;
  const doc = surface.docOf(struct.type, field);
  if (element.size < 8) {
    const problem = isTimeout
      ? `${element.size * 8} bits are not enough for a time that is absolute, and a relative one begins anew each time that a signal interrupts the call`
      : `a time in ${element.size * 8} bits: nanoseconds overflow in seconds, and seconds in 2038 or 2106`;
    const remedy = 'use `u64`, in nanoseconds of CLOCK_MONOTONIC';
    surface.reportField('time-32bit', struct, field.name, problem, remedy);
    return;
  }
  lintClock(surface, struct, field, { doc, isTimeout });
}

function lintClock(
  surface: Surface,
  struct: LintedStruct,
  field: Field,
  { doc, isTimeout }: { doc: string; isTimeout: boolean },
): void {
  const clock = /\bCLOCK_[A-Z_]+|\bclock\b/.exec(doc)?.[0];
  const inward = struct.users.some(writes);
  const isRelative = /\b(relative|from now)\b/i.test(doc);
  if (isTimeout && inward && (isRelative || !(clock || /\babsolute\b/i.test(doc)))) {
    const problem = isRelative
      ? 'a relative timeout: it begins anew each time that a signal interrupts the call'
      : 'it is not said that it is absolute: a relative one begins anew with each signal';
    const remedy = 'let it be a point in time, in ns of CLOCK_MONOTONIC, and say so';
    surface.reportField('time-relative', struct, field.name, problem, remedy);
  } else if (clock === 'CLOCK_REALTIME') {
    const problem = 'CLOCK_REALTIME jumps, when somebody sets the clock and with leap seconds';
    const remedy = 'use CLOCK_MONOTONIC, unless it has to outlast a reboot';
    surface.reportField('time-realtime', struct, field.name, problem, remedy);
  } else if (!clock) {
    const remedy = 'name it: "in ns of CLOCK_MONOTONIC"';
    surface.reportField(
      'time-clock',
      struct,
      field.name,
      'it is not said what clock this is of',
      remedy,
    );
  }
  const { device } = struct;
  if (isTimeout && inward && device && !device.poll && !device.events) {
    const problem = 'programs can wait in this call only: they cannot wait for other things too';
    const remedy = 'also give `events` or `poll`, for poll(2)';
    surface.reportField('wait-poll', struct, field.name, problem, remedy);
  }
}

/** Seconds in one field, the rest in another. */
function lintSplit(surface: Surface, struct: LintedStruct): void {
  const find = (name: RegExp) => struct.type.fields.find((field) => name.test(field.name));
  const seconds = find(/(^|_)(tv_)?sec$/);
  const rest = find(/(^|_)(tv_)?(nsec|usec)$/);
  if (!seconds || !rest) return;
  if (rest.name.endsWith('usec') || seconds.type.size < 8 || rest.type.size < 8) {
    const problem = `a struct timeval or an old timespec: not the same for every program, and over in 2038`;
    const remedy = 'use one `u64` of nanoseconds, or s64 seconds with s64 nanoseconds';
    surface.reportField('time-timeval', struct, seconds.name, problem, remedy);
  } else {
    const problem = 'seconds and nanoseconds apart: to be checked for 0 to 999,999,999';
    surface.reportField(
      'time-split',
      struct,
      seconds.name,
      problem,
      'one `u64` of nanoseconds is simpler',
    );
  }
}
