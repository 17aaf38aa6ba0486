/** defineDevice: what programs point at, read, write and wait for, in the cases where it is easy to be wrong. */
import { describe, expect, test } from 'vitest';
import { array, ioctls, iow, O_RDWR, ptr, requests, struct, u8, u64 } from '../ioctl/index.js';
import { defineDevice } from '../src/index.js';
import { addressOf } from '../src/posix.js';
import { testKernel } from './run.js';

const code = (name: string) => expect.objectContaining({ code: name });

describe('copyFromUser of as many bytes as the program says', () => {
  const blob_put = struct('blob_put', { address: ptr, length: u64 });
  const blob_ioctls = ioctls({ BLOB_PUT: iow('\xbe', 2, blob_put) });
  const { BLOB_PUT } = requests(blob_ioctls);
  const blob = defineDevice({
    name: 'blob',
    ioctls: blob_ioctls,
    ioctl: {
      BLOB_PUT: (_file, { address, length }, call) =>
        call.copyFromUser(address, array(u8, Number(length)))[Number(length) - 1],
    },
  });
  function opened() {
    const kernel = testKernel();
    kernel.addDevice(blob);
    const { sys } = kernel;
    const fd = sys.open('/dev/blob', O_RDWR);
    return (address: bigint, length: number) =>
      sys.ioctl(fd, BLOB_PUT, blob_put.create({ address, length: BigInt(length) }));
  }

  test('gives them, soon, however many they are', () => {
    const put = opened();
    const bytes = new Uint8Array(2 ** 26);
    bytes[2 ** 26 - 1] = 9;
    const start = performance.now();
    expect(put(addressOf(bytes), bytes.length)).toBe(9);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('is EFAULT before there is memory for what is not there, ENOMEM for what Linux would not copy', () => {
    const put = opened();
    const address = addressOf(new Uint8Array(16));
    for (const length of [2 ** 30, 2 ** 31 - 4096]) {
      expect(() => put(1n, length)).toThrow(code('EFAULT'));
    }
    for (const length of [2 ** 31 - 4095, 2 ** 32, 2 ** 53 - 1]) {
      expect(() => put(address, length)).toThrow(code('ENOMEM'));
    }
  });
});
