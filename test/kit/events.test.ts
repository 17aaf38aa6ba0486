/** Nodes with events in programs, beside what the probe of a real card and a real video device printed. */
import { beforeEach, describe, expect, test } from 'vitest';
import { recording } from '../conformance.js';
import { difference } from '../differences.js';
import { card, video } from '../eventnode.js';
import { LINKAGES, needsCompiler, needsDrmHeaders, probe } from '../programs.js';
import { expectNothingLeft, run, testKernel } from '../run.js';

beforeEach(needsCompiler);
beforeEach(needsDrmHeaders);

/** Lines that are otherwise here, and why. */
const OTHERWISE = [
  // drm_read() wakes all once more when it puts an event back that did not fit.
  /^card: one taken: epoll edge/,
  // The kit's read() refuses what is too small, and has no position.
  /^card: (blocking )?(read|readv|pread|preadv2?) (of|at|RWF_NOWAIT)/,
  /^(card|video): (lseek|pwrite)/,
  // To the machine it is a socket.
  /^(card|video): (recv|recvmsg|send|sendmsg|getsockopt|getsockname) /,
  // Sockets and memory know FASYNC.
  /^(card|video): (FIOASYNC|F_GETFL \d*4002|signals)/,
  // Descriptors for the path alone are ordinary ones.
  /^(card|video): poll 0x/,
  // Whoever runs a program may open what its kernel provides.
  /^(card|video) of root: (open|SETCRTC|SUBSCRIBE_EVENT)/,
];

/** Only `exact` sees what is otherwise left to the machine. */
const NATIVELY = [
  /^(card|video): (read|write|writev|splice|sendfile|readahead)/,
  /^card: passed over a socket/,
];

/** What stands for a file in an epoll instance goes a moment after it. */
const AFTER_THE_LAST = /^(video: close the last -> 0)\nvideo: epoll_wait -> [01]$/m;

const without = (lines: string, left: readonly RegExp[]) =>
  lines
    .replace(AFTER_THE_LAST, '$1')
    .split('\n')
    .filter((line) => !left.some((each) => each.test(line)))
    .join('\n');

describe.each(LINKAGES)('as on Linux (%s)', (linkage) => {
  test.each([
    [false, [...OTHERWISE, ...NATIVELY]],
    [true, OTHERWISE],
  ])('exact: %s', async (exact, left) => {
    const kernel = testKernel({ version: '6.12' });
    kernel.addDevice(card);
    kernel.addDevice(video);
    const { stdout, status } = await run(kernel, probe('eventnode', linkage), [], { exact });
    const recorded = recording('6.12', 'eventnode');
    expect(difference(without(recorded, left), without(stdout, left))).toEqual([]);
    expect(status).toBe(0);
    expect(kernel.dmesg()).toEqual([]);
    await expectNothingLeft(kernel);
  });
});
