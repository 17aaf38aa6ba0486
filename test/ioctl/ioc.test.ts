import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  _IO,
  _IOC,
  _IOC_DIR,
  _IOC_NONE,
  _IOC_NR,
  _IOC_READ,
  _IOC_SIZE,
  _IOC_TYPE,
  _IOC_WRITE,
  _IOR,
  _IOW,
  _IOWR,
  type ArgOf,
  cstring,
  DMA_BUF_SET_NAME,
  DMA_BUF_SET_NAME_A,
  DMA_BUF_SET_NAME_B,
  DMA_HEAP_IOC_MAGIC,
  DMA_HEAP_IOCTL_ALLOC,
  dma_buf_ioctls,
  dma_heap_allocation_data,
  type IoctlArg,
  type IoctlTable,
  io,
  ioctls,
  iow,
  ptr,
  requests,
  s32,
  type sw_sync_ioctls,
  u32,
  udmabuf_create_list,
  type View,
} from '../../ioctl/index.js';

describe('a request number', () => {
  it('is composed of direction, size, type and number', () => {
    expect(_IO('d', 0x1e)).toBe(0x641e);
    expect(_IOW('W', 1, u32)).toBe(0x40045701);
    expect(_IOR('W', 1, s32)).toBe(0x80045701);
    expect(_IOW('b', 1, ptr)).toBe(0x40086201);
    expect(_IOWR('H', 0x0, dma_heap_allocation_data)).toBe(0xc0184800);
  });

  it('is never negative', () => {
    expect(_IOC(_IOC_READ | _IOC_WRITE, '\xff', 0xff, 0x3fff)).toBe(0xffffffff);
  });

  it('counts a flexible array as nothing, as sizeof does', () => {
    expect(_IOC_SIZE(_IOW('u', 0x43, udmabuf_create_list))).toBe(8);
  });

  it('comes apart again, also when it arrived as a signed number', () => {
    const signed = DMA_HEAP_IOCTL_ALLOC | 0;
    for (const request of [DMA_HEAP_IOCTL_ALLOC, signed]) {
      expect(_IOC_DIR(request)).toBe(_IOC_READ | _IOC_WRITE);
      expect(_IOC_TYPE(request)).toBe(DMA_HEAP_IOC_MAGIC);
      expect(_IOC_NR(request)).toBe(0);
      expect(_IOC_SIZE(request)).toBe(24);
    }
  });

  it.each([
    ['a direction', () => _IOC(4, 'b', 0, 0)],
    ['a long type', () => _IOC(_IOC_NONE, 'bb', 0, 0)],
    ['an empty type', () => _IOC(_IOC_NONE, '', 0, 0)],
    ['a type beyond a byte', () => _IOC(_IOC_NONE, 'ł', 0, 0)],
    ['a number', () => _IOC(_IOC_NONE, 'b', 256, 0)],
    ['a fraction', () => _IOC(_IOC_NONE, 'b', 0.5, 0)],
    ['a size', () => _IOC(_IOC_NONE, 'b', 0, 1 << 14)],
  ])('refuses %s that does not fit', (_what, compose) => {
    expect(compose).toThrow(RangeError);
  });
});

describe('a table of ioctls', () => {
  const table = ioctls({
    X_RESET: io('x', 0),
    X_NAME: iow('x', 1, u32, { arg: cstring, doc: 'names it' }),
  });

  it('gives each ioctl its name, number, direction and argument', () => {
    expect(table.X_RESET).toMatchObject({ name: 'X_RESET', request: 0x7800, dir: _IOC_NONE });
    expect(table.X_RESET.arg).toBeUndefined();
    expect(table.X_NAME).toMatchObject({ name: 'X_NAME', request: 0x40047801, doc: 'names it' });
    expect(table.X_NAME.arg).toBe(cstring);
  });

  it('gives its numbers for use as constants', () => {
    const { X_RESET, X_NAME } = requests(table);
    expect([X_RESET, X_NAME]).toEqual([0x7800, 0x40047801]);
  });

  it('types the handlers of a driver', () => {
    type Handlers<T extends IoctlTable> = { [K in keyof T]: (arg: View<T[K]['arg']>) => number };
    type SwSync = Handlers<typeof sw_sync_ioctls>;
    type Fence = { value: number; name: string; fence: number };
    expectTypeOf<Parameters<SwSync['SW_SYNC_IOC_CREATE_FENCE']>[0]>().toExtend<Fence>();
    expectTypeOf<Parameters<SwSync['SW_SYNC_IOC_INC']>[0]['value']>().toEqualTypeOf<number>();
    expectTypeOf<Parameters<Handlers<typeof table>['X_RESET']>[0]>().toEqualTypeOf<undefined>();
  });

  it('types the argument that goes with a constant', () => {
    type Alloc = View<typeof dma_heap_allocation_data>;
    expectTypeOf<ArgOf<typeof DMA_HEAP_IOCTL_ALLOC>>().toEqualTypeOf<Alloc>();
    expectTypeOf<ArgOf<typeof DMA_BUF_SET_NAME>>().toEqualTypeOf<View<typeof cstring>>();
    expectTypeOf<IoctlArg>().toExtend<ArgOf<number>>();
    expectTypeOf(DMA_HEAP_IOCTL_ALLOC).toExtend<number>();
  });

  it('knows DMA_BUF_SET_NAME by the number of 64-bit hosts', () => {
    expect(DMA_BUF_SET_NAME).toBe(DMA_BUF_SET_NAME_B);
    expect(DMA_BUF_SET_NAME).not.toBe(DMA_BUF_SET_NAME_A);
    expect(dma_buf_ioctls.DMA_BUF_SET_NAME_A.arg).toBe(cstring);
  });
});
