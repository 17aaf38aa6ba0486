/**
 * The probes of fixtures/ print here what they printed on a real kernel. What cannot be the same is
 * listed line by line in fixtures/differences, with the reasons in the README there; a difference that
 * is not listed fails, and so does one that is listed and has gone, unless it is marked with "?": those
 * depend on the machine's own kernel, or on time. `UPDATE_DIFFERENCES=1` lists anew, and keeps marks.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { expectListed, type Probing, recording } from './conformance.js';
import { connector } from './connector.js';
import { difference } from './differences.js';
import { mappedNodes } from './mapped_nodes.js';
import { LINKAGES, needsCompiler, needsDrmHeaders, probe } from './programs.js';
import { expectNothingLeft, RECORDED_VERSIONS, run } from './run.js';

const EQUAL = ['heap', 'udmabuf', 'dmabuf', 'sync'];
const LISTED = [
  ...['stat', 'badargs', 'fileops', 'mmap', 'sysfs', 'life'],
  ...['fence', 'deadline', 'epoll'],
];
/** A node of the machine's, which containers do not have. */
const OTHERS = / {2}in \/dev: chr cpu_dma_latency/;
/** Asked as root, and as an ordinary user: who is one already cannot become either. */
const AS_ROOT: [name: string, probing?: Probing][] = [
  ['paths'],
  // What is left out is the machine's.
  ['attrs', { setUp: connector, args: ['provided'], without: /PCI config|notes|binary, opened/ }],
  // What udevd says has the time in it, and a length that depends on that.
  ['uevent', { without: / {2}message: libudev .xfe/ }],
];
/** It uses memory that it gave back, and what is there then depends on what else a program has. */
const STATIC = ['walk'];

beforeEach(needsCompiler);

describe.each(RECORDED_VERSIONS)('as Linux %s', (version) => {
  describe.each(LINKAGES)('%s', (linkage) => {
    test.each(EQUAL)('%s: every line is the real kernel’s', async (name) => {
      const { kernel, ...ended } = await run({ version }, probe(name, linkage), [], {
        exact: true,
      });
      expect(difference(recording(version, name), ended.stdout)).toEqual([]);
      expect(ended).toMatchObject({ status: 0, stderr: '' });
      await expectNothingLeft(kernel);
    });

    test.each(LISTED)('%s: what differs is listed, and only that', (name) =>
      expectListed(version, linkage, name, { without: OTHERS }),
    );

    test('vma: what differs is listed, and only that', (context) => {
      needsDrmHeaders(context);
      return expectListed(version, linkage, 'vma', {
        setUp(kernel) {
          for (const device of mappedNodes(version)) kernel.addDevice(device);
        },
      });
    });

    test.for(AS_ROOT)('%s: what differs is listed, and only that', ([name, probing], { skip }) => {
      if (process.getuid?.() !== 0) skip('only root can ask as root');
      return expectListed(version, linkage, name, probing);
    });
  });

  test.each(STATIC)('static %s: what differs is listed, and only that', (name) =>
    expectListed(version, 'static', name),
  );
});

describe('without `exact`, only what reads and writes differs', () => {
  test.each([
    [
      'heap',
      ['read heap -> -1 EINVAL', 'write heap -> -1 EINVAL'],
      ['read heap -> 0', 'write heap -> -1 EPERM'],
    ],
    ['udmabuf', ['read -> -1 EINVAL'], ['read -> ok']],
    [
      'dmabuf',
      ['read -> -1 EINVAL', 'write -> -1 EINVAL', 'pread -> -1 ESPIPE', 'pwrite -> -1 ESPIPE'],
      ['read -> 16', 'write -> 16', 'pread -> 16', 'pwrite -> 16'],
    ],
  ])('%s: these lines, and no others', async (name, exact, otherwise) => {
    const asRecorded = await run({ version: '6.12' }, probe(name), [], { exact: true });
    const { stdout } = await run({ version: '6.12' }, probe(name));
    expect(difference(asRecorded.stdout, stdout)).toEqual([
      ...exact.map((line) => `-${line}`),
      ...otherwise.map((line) => `+${line}`),
    ]);
  });
});
