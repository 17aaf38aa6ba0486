/** Memory of programs that a driver keeps: pinUserPages. */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { MAP_SHARED, O_RDWR, PROT_READ, PROT_WRITE, u64 } from '../../ioctl/index.js';
import {
  copyFromUser,
  Device,
  DMA_BIDIRECTIONAL,
  dmaMapSgtable,
  dmaUnmapSgtable,
  type Kernel,
  miscRegister,
  type PinFlags,
  pinUserPages,
  type UserPages,
} from '../../src/index.js';
import { native } from '../../src/native.js';
import { needsCompiler } from '../programs.js';
import { testKernel } from '../run.js';
import { Steps } from '../steps.js';

const PAGE = 4096;
const code = (name: string) => expect.objectContaining({ code: name });

/** Requests: what the pages are pinned for. The argument: an address and a length. */
const FLAGS: Record<number, PinFlags> = {
  20481: { write: true },
  20482: {},
  20483: { write: true, force: true },
};
const [WRITE, READ, FORCE] = [0x5001, 0x5002, 0x5003];

/** A driver, /dev/gem, that pins what it is told; what it has pinned. */
function pinner(kernel: Kernel): UserPages[] {
  const pinned: UserPages[] = [];
  onTestFinished(() => {
    for (const pages of pinned) pages.unpin();
  });
  miscRegister(kernel, 'gem', {
    ioctl(_file, request, arg, task) {
      const address = Number(copyFromUser(task.mm, arg, u64).value);
      const length = Number(copyFromUser(task.mm, arg + 8, u64).value);
      return pinned.push(pinUserPages(task, address, length, FLAGS[request])) - 1;
    },
  });
  return pinned;
}

async function program() {
  const kernel = testKernel();
  const pinned = pinner(kernel);
  const steps = new Steps(kernel);
  await steps.do('open n');
  const pin = async (of: string, pages = 4, flags = WRITE) =>
    pinned[await steps.do(`pin ${of} n ${pages} ${flags}`)] as UserPages;
  return { kernel, steps, pin };
}

const byteAt = (pages: UserPages, page: number) => {
  const byte = new Uint8Array(1);
  pages.read(page * PAGE, byte);
  return byte[0];
};
const putAt = (pages: UserPages, page: number, value: number) =>
  pages.write(page * PAGE, Uint8Array.of(value));

beforeEach(needsCompiler);

describe('pinned, memory of a program’s own', () => {
  test('is read and written in both directions after the call', async () => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 3');
    await steps.do('put p - 11 2');
    const pages = await pin('p');
    expect(byteAt(pages, 2)).toBe(11);
    await steps.do('put p - 12 2');
    expect(byteAt(pages, 2)).toBe(12);
    putAt(pages, 3, 13);
    expect(await steps.do('get p - 0 3')).toBe(13);
    await steps.end();
  });

  test.each([
    ['unmapped', 'unmap p - 4'],
    ['unmapped in part', 'unmap p - 1 2'],
  ])('%s, it is gone: reading is EFAULT, and what is written nobody sees', async (_how, step) => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 3');
    const pages = await pin('p');
    await steps.do(step);
    expect(() => byteAt(pages, 2)).toThrow(code('EFAULT'));
    expect(() => putAt(pages, 2, 1)).not.toThrow();
    await steps.end();
  });

  test('with another kind of mapping in its place, it is not taken for that', async () => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 3');
    const pages = await pin('p');
    await steps.do('memfd m - 4');
    await steps.do('unmap p - 4');
    await steps.do('at p m 4');
    putAt(pages, 0, 99);
    expect(await steps.do('get p - 0 0')).toBe(0);
    expect(() => byteAt(pages, 0)).toThrow(code('EFAULT'));
    await steps.end();
  });

  test.each([
    ['its end', (steps: Steps) => steps.die()],
    ['exec', (steps: Steps) => steps.do('restart -').then(() => steps.do('anon q - 4 3'))],
  ])('is gone with its process’s memory: %s', async (_how, end) => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 3');
    const pages = await pin('p');
    await end(steps);
    expect(() => byteAt(pages, 0)).toThrow(code('EFAULT'));
    expect(() => putAt(pages, 0, 1)).not.toThrow();
    await steps.end();
  });

  test('stays the parent’s after a fork', async () => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 3');
    const pages = await pin('p');
    await steps.do('fork -');
    await steps.do('put p - 5 0');
    expect(byteAt(pages, 0)).toBe(5);
    putAt(pages, 1, 6);
    expect(await steps.do('get p - 0 1')).toBe(6);
    await steps.do('kill -');
    await steps.end();
  });
});

describe('pinned, memory of a file that is mapped shared', () => {
  test('lives on when it is unmapped, closed, and its process gone', async () => {
    const { steps, pin } = await program();
    await steps.do('memfd m - 8');
    await steps.do('map p m 4 2');
    await steps.do('put p - 21 1');
    const pages = await pin('p');
    await steps.do('write m - 22 4');
    expect([byteAt(pages, 1), byteAt(pages, 2)]).toEqual([21, 22]);
    putAt(pages, 3, 23);
    expect(await steps.do('read m - 0 5')).toBe(23);
    await steps.do('unmap p - 4');
    await steps.do('close m');
    expect(byteAt(pages, 3)).toBe(23);
    await steps.end();
    putAt(pages, 0, 24);
    expect([byteAt(pages, 0), byteAt(pages, 1)]).toEqual([24, 21]);
  });

  test('is gone where the file was made shorter, and does not make it longer', async () => {
    const { steps, pin } = await program();
    await steps.do('unsealed m - 4');
    await steps.do('map p m 4 0');
    const pages = await pin('p');
    await steps.do('truncate m - 2');
    putAt(pages, 3, 1);
    expect(await steps.do('size m')).toBe(2 * PAGE);
    expect(() => byteAt(pages, 3)).toThrow(code('EFAULT'));
    expect(byteAt(pages, 1)).toBe(0);
    await steps.end();
  });
});

describe('what cannot be pinned', () => {
  const refused =
    (step: string, ...before: string[]) =>
    async () => {
      const { steps } = await program();
      for (const each of before) await steps.do(each);
      await expect(steps.do(step)).rejects.toThrow('EFAULT');
      await steps.end();
    };
  test('nothing is mapped', refused(`pin p n 4 ${READ}`));
  test('a page in it is not mapped', refused(`pin p n 4 ${READ}`, 'anon p - 4 3', 'unmap p - 1 1'));
  test('more than is mapped', refused(`pin p n 99999 ${READ}`, 'anon p - 4 3'));
  test('what may not be read', refused(`pin p n 4 ${READ}`, 'anon p - 4 0'));
  test('what may not be written', refused(`pin p n 4 ${WRITE}`, 'anon p - 4 1'));
  test(
    'a shared mapping that may not be written, by force',
    refused(`pin p n 4 ${FORCE}`, 'memfd m - 4', 'map p m 4 0', 'protect p - 4 1'),
  );
  test('a dma-buf', refused(`pin p n 4 ${READ}`, 'alloc a - 4', 'map p a 4 0'));

  test('but what may only be read can be, to be read, or by force', async () => {
    const { steps, pin } = await program();
    await steps.do('anon p - 4 1');
    const pages = await pin('p', 4, READ);
    expect(byteAt(pages, 0)).toBe(0);
    expect(() => putAt(pages, 0, 1)).toThrow(code('EFAULT'));
    const forced = await pin('p', 4, FORCE);
    putAt(forced, 0, 3);
    expect(await steps.do('get p - 0 0')).toBe(3);
    await steps.end();
  });
});

describe('for devices', () => {
  test('it is a scatterlist: what is not whole pages begins within one, and its page frames go with it', () => {
    const kernel = testKernel();
    const pinned = pinner(kernel);
    const mapping = native.mmap(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | 0x20, -1, 0);
    if (typeof mapping === 'number') throw new Error('mmap');
    const bytes = new Uint8Array(mapping);
    const node = kernel.sys.open('/dev/gem', O_RDWR);
    const address = native.addressOf(bytes) + 100;
    const range = Buffer.alloc(16);
    range.writeBigUInt64LE(BigInt(address), 0);
    range.writeBigUInt64LE(BigInt(2 * PAGE), 8);
    const pages = pinned[kernel.sys.ioctl(node, WRITE, range)] as UserPages;
    expect([pages.offset, pages.length]).toEqual([100, 2 * PAGE]);
    expect(() => pages.read(2 * PAGE - 1, new Uint8Array(2))).toThrow(code('EFAULT'));

    const device = new Device(kernel, { name: 'camera', dma_mask: 2 ** 48 - 1 });
    const { table } = pages;
    expect(kernel.memory.used).toBe(3 * PAGE);
    dmaMapSgtable(device, table, DMA_BIDIRECTIONAL);
    const at = table.dma_address[0] as number;
    expect(at % PAGE).toBe(100);
    device.fill(at, 2 * PAGE, 0xee);
    expect([bytes[99], bytes[100], bytes[2 * PAGE + 99], bytes[2 * PAGE + 100]]).toEqual([
      0, 0xee, 0xee, 0,
    ]);
    bytes[PAGE] = 7;
    const read = new Uint8Array(1);
    device.read(at + PAGE - 100, read);
    expect(read[0]).toBe(7);
    dmaUnmapSgtable(device, table, DMA_BIDIRECTIONAL);
    pages.unpin();
    expect(kernel.memory.used).toBe(0);
    device.close();
    kernel.sys.close(node);
    native.munmap(mapping);
  });

  test('what it bounces is copied there and back', async () => {
    const { kernel, steps, pin } = await program();
    await steps.do('anon p - 2 3');
    const pages = await pin('p', 2);
    const device = new Device(kernel, { name: 'near', dma_mask: 2 ** 32 - 1 });
    try {
      dmaMapSgtable(device, pages.table, DMA_BIDIRECTIONAL);
      device.fill(pages.table.dma_address[0] as number, 16, 5);
      expect(await steps.do('get p - 0 0')).toBe(0);
      dmaUnmapSgtable(device, pages.table, DMA_BIDIRECTIONAL);
      expect(await steps.do('get p - 0 0')).toBe(5);
    } finally {
      device.close();
      await steps.end();
    }
  });
});
