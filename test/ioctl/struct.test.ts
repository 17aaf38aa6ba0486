import { inspect } from 'node:util';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  type ArrayView,
  alignof,
  anonymous,
  array,
  charArray,
  cstring,
  dma_heap_allocation_data,
  doc,
  field,
  flexible,
  formatArg,
  isIoctlArg,
  offsetof,
  ptr,
  s8,
  s16,
  s32,
  s64,
  sizeof,
  struct,
  sync_merge_data,
  u8,
  u16,
  u32,
  u64,
  udmabuf_create_item,
  udmabuf_create_list,
  union,
  type View,
} from '../../ioctl/index.js';
import { cpuTime } from '../run.js';

const rect = struct('rect', { left: s32, top: s32, width: u32, height: u32 });
const window = struct('window', { id: u8, where: rect, planes: array(u16, 3), owner: u64 });

describe('a layout', () => {
  it('places each field at a multiple of its alignment', () => {
    const mixed = struct('mixed', { a: u8, b: u32, c: u8, d: u16, e: s8, f: ptr });
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((f) => offsetof(mixed, f as 'a'))).toEqual([
      0, 4, 8, 10, 12, 16,
    ]);
    expect(sizeof(mixed)).toBe(24);
  });

  it('ends with padding, so that the next of an array is aligned', () => {
    const tail = struct('tail', { a: u64, b: u8 });
    expect(sizeof(tail)).toBe(16);
    expect(sizeof(array(tail, 3))).toBe(48);
    expect(alignof(tail)).toBe(8);
  });

  it('aligns a nested struct as its strictest field, and chars nowhere', () => {
    expect(offsetof(window, 'where')).toBe(4);
    expect(offsetof(window, 'planes')).toBe(20);
    expect(offsetof(window, 'owner')).toBe(32);
    expect(sizeof(window)).toBe(40);
    expect(sizeof(struct('named', { a: u8, name: charArray(5), b: u16 }))).toBe(8);
  });

  it('is aligned as it says, and as its fields say', () => {
    const aligned = struct('aligned', { a: u8, b: field(u32, { align: 8 }) }, { align: 32 });
    expect([offsetof(aligned, 'b'), sizeof(aligned), alignof(aligned)]).toEqual([8, 32, 32]);
    const both = struct('both', { a: u8, b: u64 }, { packed: true, align: 4 });
    expect([offsetof(both, 'b'), sizeof(both), alignof(both)]).toEqual([1, 12, 4]);
    const pragma = struct('pragma', { a: u8, b: u64, c: u8 }, { pack: 2 });
    expect([offsetof(pragma, 'b'), sizeof(pragma), alignof(pragma)]).toEqual([2, 12, 2]);
    expect(() => struct('odd', { a: u8 }, { align: 3 })).toThrow('odd: an alignment of 3');
    expect(() => struct('odd', { a: field(u8, { align: 0 }) })).toThrow('odd.a: an alignment of 0');
    expect(() => struct('odd', { a: u8 }, { packed: true, pack: 2 })).toThrow(TypeError);
  });

  it('has another name for what every view has, and C’s where it is printed', () => {
    const quota = struct('quota', { bytes_: field(u64, { cName: 'bytes' }) });
    const view = quota.create({ bytes_: 5n });
    expect([view.bytes_, view.bytes.length]).toEqual([5n, 8]);
    expect(formatArg(quota, view)).toBe('{bytes=5}');
    expect(() => struct('quota', { bytes: u64 })).toThrow(
      "write bytes_: field(…, { cName: 'bytes' })",
    );
  });

  it('has no padding when packed', () => {
    const packed = struct('packed', { a: u8, b: u64, c: u16 }, { packed: true });
    expect([offsetof(packed, 'b'), offsetof(packed, 'c')]).toEqual([1, 9]);
    expect([sizeof(packed), alignof(packed)]).toEqual([11, 1]);
  });

  it('lays a union over itself', () => {
    const any = union('any', { byte: u8, word: u32, text: charArray(5) });
    expect([offsetof(any, 'word'), sizeof(any), alignof(any)]).toEqual([0, 8, 4]);
  });

  it('keeps what is said of a field', () => {
    const told = struct('told', {
      a: doc(u32, 'bytes'),
      b: field(u32, { doc: 'bits', flags: [] }),
    });
    expect(told.fields.map((f) => [f.name, f.doc])).toEqual([
      ['a', 'bytes'],
      ['b', 'bits'],
    ]);
  });

  it('refuses a field that follows a flexible array, and one that a view needs itself', () => {
    expect(() => struct('bad', { list: flexible(u8), after: u8 })).toThrow(TypeError);
    expect(() => struct('bad', { bytes: u8 })).toThrow('bad.bytes is taken');
    const x = struct({ x: u8 });
    expect(() => struct('bad', { x: u8, again: anonymous(x) })).toThrow('bad.x is taken');
  });
});

describe('a view', () => {
  it('shares the memory that it is given, at any offset', () => {
    const memory = Buffer.alloc(64);
    const data = dma_heap_allocation_data.view(memory, 3);
    data.len = 0x1122334455667788n;
    data.fd_flags = 2;
    expect(memory.readBigUInt64LE(3)).toBe(0x1122334455667788n);
    memory.writeUInt32LE(7, 3 + 8);
    expect(data.fd).toBe(7);
    expect(data.bytes.buffer).toBe(memory.buffer);
    expect(data.bytes.byteOffset).toBe(memory.byteOffset + 3);
    expect(data.bytes.length).toBe(24);
    expect(isIoctlArg(data)).toBe(true);
    expect(isIoctlArg(memory)).toBe(false);
  });

  it('is an instance of its struct', () => {
    const data = new dma_heap_allocation_data.View(new Uint8Array(24));
    expect(data).toBeInstanceOf(dma_heap_allocation_data.View);
    expect(data).not.toBeInstanceOf(rect.View);
  });

  it('refuses memory that is too short', () => {
    expect(() => dma_heap_allocation_data.view(new Uint8Array(23))).toThrow(
      new RangeError('struct dma_heap_allocation_data takes 24 bytes, 23 are there'),
    );
    expect(() => dma_heap_allocation_data.view(new Uint8Array(24), 1)).toThrow(RangeError);
    expect(() => dma_heap_allocation_data.view(new Uint8Array(64), -1)).toThrow(RangeError);
  });

  it('reads and writes every integer type at its limits', () => {
    const all = struct('all', { u8, s8, u16, s16, u32, s32, u64, s64, ptr });
    const most = {
      u8: 0xff,
      s8: 0x7f,
      u16: 0xffff,
      s16: 0x7fff,
      u32: 0xffffffff,
      s32: 0x7fffffff,
      u64: 0xffffffffffffffffn,
      s64: 0x7fffffffffffffffn,
      ptr: 0xffffffffffffffffn,
    };
    const least = { u8: 0, s8: -128, u16: 0, s16: -32768, u32: 0, s32: -(2 ** 31) };
    const least64 = { u64: 0n, s64: -(2n ** 63n), ptr: 0n };
    expect(all.create(most).toObject()).toEqual(most);
    expect(all.create({ ...least, ...least64 }).toObject()).toEqual({ ...least, ...least64 });
  });

  it('refuses a number out of range and leaves the memory alone', () => {
    const data = dma_heap_allocation_data.create({ len: 1n, fd: 2 });
    const refuse = (write: () => void) => expect(write).toThrow(RangeError);
    refuse(() => {
      data.fd = -1;
    });
    refuse(() => {
      data.fd = 2 ** 32;
    });
    refuse(() => {
      data.fd = 1.5;
    });
    refuse(() => {
      data.len = -1n;
    });
    refuse(() => {
      data.len = 2n ** 64n;
    });
    expect(data.toObject()).toEqual({ len: 1n, fd: 2, fd_flags: 0, heap_flags: 0n });
  });

  it('says which field refused what', () => {
    expect(() => dma_heap_allocation_data.create({ fd: -1 })).toThrow(
      'dma_heap_allocation_data.fd: -1 is not a __u32: an integer from 0 to 4294967295',
    );
    const unchecked: object = { len: 4096 };
    expect(() => dma_heap_allocation_data.create(unchecked)).toThrow(TypeError);
  });

  it('is made with zeros for what is not mentioned, and refuses what does not exist', () => {
    const data = dma_heap_allocation_data.create({ len: 8192n });
    expect(data.toObject()).toEqual({ len: 8192n, fd: 0, fd_flags: 0, heap_flags: 0n });
    // @ts-expect-error there is no field of that name
    expect(() => dma_heap_allocation_data.create({ length: 1n })).toThrow('has no field length');
  });

  it('shows its fields when it is printed', () => {
    expect(inspect(rect.create({ top: -1 }))).toBe(
      'rect { left: 0, top: -1, width: 0, height: 0 }',
    );
  });

  it('has exact types', () => {
    type Alloc = View<typeof dma_heap_allocation_data>;
    expectTypeOf<Alloc['len']>().toEqualTypeOf<bigint>();
    expectTypeOf<Alloc['fd']>().toEqualTypeOf<number>();
    expectTypeOf<View<typeof sync_merge_data>['name']>().toEqualTypeOf<string>();
    expectTypeOf<View<typeof window>['where']>().toEqualTypeOf<View<typeof rect>>();
    expectTypeOf<View<typeof window>['planes']>().toEqualTypeOf<ArrayView<number, number>>();
    expectTypeOf(window.create().toObject()).toEqualTypeOf<{
      id: number;
      where: { left: number; top: number; width: number; height: number };
      planes: number[];
      owner: bigint;
    }>();
    expectTypeOf<View<typeof rect>>().not.toHaveProperty('depth');
  });
});

describe('a nested struct', () => {
  it('is a view of the same memory, and the same view each time', () => {
    const w = window.create({ where: { width: 640 } });
    w.where.left = -5;
    expect(new DataView(w.bytes.buffer).getInt32(4, true)).toBe(-5);
    expect(w.where).toBe(w.where);
    expect(w.where.toObject()).toEqual({ left: -5, top: 0, width: 640, height: 0 });
  });

  it('is copied by assignment, as in C', () => {
    const source = rect.create({ left: 1, height: 2 });
    const w = window.create({ id: 9, where: { top: 3 }, owner: 4n });
    w.where = source;
    source.left = 100;
    expect(w.toObject()).toMatchObject({
      id: 9,
      where: { left: 1, top: 0, width: 0, height: 2 },
      owner: 4n,
    });
  });
});

describe('an array', () => {
  it('reads and writes its elements in place', () => {
    const w = window.create({ planes: [1, 2] });
    w.planes[2] = 3;
    expect(w.planes.length).toBe(3);
    expect([...w.planes]).toEqual([1, 2, 3]);
    expect(w.planes.toObject()).toEqual([1, 2, 3]);
    expect(w.planes.bytes).toEqual(w.bytes.subarray(20, 26));
    w.planes = window.create({ planes: [7, 8, 9] }).planes;
    expect(new Uint16Array(w.bytes.buffer, 20, 3)).toEqual(Uint16Array.of(7, 8, 9));
  });

  it('ends at its end', () => {
    const w = window.create();
    expect(w.planes[3]).toBeUndefined();
    expect(() => {
      w.planes[3] = 1;
    }).toThrow(TypeError);
    expect(() => window.create({ planes: [1, 2, 3, 4] })).toThrow(RangeError);
    expect(() => window.create({ planes: [1, 70000] })).toThrow('window.planes[1]: 70000');
  });

  it('costs nothing for elements that nobody asks for, however many there are', () => {
    const memory = new Uint8Array(2 ** 28);
    const type = array(u8, 2 ** 28);
    const touch = () => {
      type.view(memory)[2 ** 28 - 1] = 7;
    };
    expect(cpuTime(touch)).toBeLessThan(100);
    const view = type.view(memory);
    expect([view[2 ** 28 - 1], view[2 ** 28], view[-1], memory.at(-1)]).toEqual([
      7,
      undefined,
      undefined,
      7,
    ]);
  });

  it('does for what takes an array', () => {
    const { planes } = window.create({ planes: [3, 4] });
    expect(Array.prototype.map.call(planes, (n) => n * 2)).toEqual([6, 8, 0]);
    expect(Math.max(...planes)).toBe(4);
    expect(inspect(planes)).toBe('[ 3, 4, 0 ]');
    expect(planes).toEqual(window.create({ planes: [3, 4] }).planes);
    expect(planes).not.toEqual(window.create({ planes: [3, 5] }).planes);
    expect(Object.keys(planes)).toEqual(['bytes', 'length']);
    expect(window.create({ planes: array(u16, 2).create([1, 2]) }).planes.toObject()).toEqual([
      1, 2, 0,
    ]);
  });

  it('of less than it had leaves nothing of that', () => {
    const w = window.create({ planes: [7, 8, 9] });
    w.planes = array(u16, 1).create([1]);
    expect([...w.planes]).toEqual([1, 0, 0]);
    expect(() => {
      w.planes = array(u16, 4).create();
    }).toThrow(RangeError);
  });

  it('holds structs as views', () => {
    const rects = struct('rects', { n: u32, r: array(rect, 2) }).create({ r: [{}, { top: 5 }] });
    expect(rects.r[1]?.top).toBe(5);
    expect(rects.r[1]).toBe(rects.r[1]);
    for (const r of rects.r) r.width = 10;
    expect(rects.toObject().r.map((r) => r.width)).toEqual([10, 10]);
  });
});

describe('a union', () => {
  const value = union('value', { byte: u8, word: u32, area: rect });

  it('shows the same bytes by each of its members', () => {
    const v = value.create({ word: 0x01020304 });
    expect([v.byte, v.area.left]).toEqual([4, 0x01020304]);
  });

  it('is made by one member', () => {
    expect(() => value.create({ byte: 1, word: 2 })).toThrow(TypeError);
  });

  it('without a name gives its fields to the struct around it', () => {
    const control = struct(
      'control',
      { id: u32, _: anonymous(union({ value: s32, value64: s64, string: ptr })) },
      { packed: true },
    );
    expect(control.fields.map((f) => [f.name, f.offset])).toEqual([
      ['id', 0],
      ['value', 4],
      ['value64', 4],
      ['string', 4],
    ]);
    const c = control.create({ id: 1, value64: -1n });
    expect([c.value, c.string]).toEqual([-1, 0xffffffffffffffffn]);
    expectTypeOf(c.value64).toEqualTypeOf<bigint>();
    expectTypeOf(c).not.toHaveProperty('_');
  });
});

describe('a char array', () => {
  it('is read up to its first NUL', () => {
    const merge = sync_merge_data.create({ name: 'camera' });
    expect(merge.name).toBe('camera');
    merge.bytes[3] = 0;
    expect(merge.name).toBe('cam');
    merge.bytes.fill(0x78, 0, 32);
    expect(merge.name).toBe('x'.repeat(32));
  });

  it('is cut off before its last byte, between characters, and filled with NULs', () => {
    const small = struct('small', { name: charArray(6), after: u8 }).create({ after: 1 });
    small.name = 'abcdefgh';
    expect(small.name).toBe('abcde');
    small.name = 'abcdé';
    expect(small.name).toBe('abcd');
    small.name = 'x';
    expect([...small.bytes]).toEqual([0x78, 0, 0, 0, 0, 0, 1]);
  });
});

describe('a lone value', () => {
  it('is an argument too', () => {
    const increment = u32.create(5);
    expect(increment.bytes).toEqual(Uint8Array.of(5, 0, 0, 0));
    increment.value = 6;
    expect(increment.value).toBe(6);
    expect(u64.create().value).toBe(0n);
    expectTypeOf(increment.value).toEqualTypeOf<number>();
  });

  it('is a string of any length with its NUL', () => {
    expect(cstring.create('é').bytes).toEqual(Uint8Array.of(0xc3, 0xa9, 0));
    expect(cstring.create().bytes).toEqual(Uint8Array.of(0));
    expect(cstring.view(Buffer.from('name\0rest')).value).toBe('name');
  });
});

describe('a flexible array', () => {
  const items = [
    { memfd: 3, size: 4096n },
    { memfd: 4, offset: 8192n, size: 4096n },
  ];

  it('counts nothing in sizeof and gets its length when it is made', () => {
    expect(sizeof(udmabuf_create_list)).toBe(8);
    const list = udmabuf_create_list.create({ count: 2, list: items });
    expect(list.bytes.length).toBe(8 + 2 * sizeof(udmabuf_create_item));
    expect(list.list[1]?.offset).toBe(8192n);
    expect(udmabuf_create_list.create({ count: 2 }).list.length).toBe(0);
  });

  it('has as many whole items as the memory', () => {
    const { bytes } = udmabuf_create_list.create({ count: 2, list: items });
    const longer = new Uint8Array(bytes.length + 4 + 23);
    longer.set(bytes, 4);
    const list = udmabuf_create_list.view(longer, 4);
    expect(list.list.length).toBe(2);
    expect(list.bytes.length).toBe(bytes.length);
    for (const item of list.list) item.memfd = 9;
    expect(list.toObject().list.map((item) => item.memfd)).toEqual([9, 9]);
    expect(udmabuf_create_list.view(bytes.subarray(0, 8)).list.length).toBe(0);
  });
});
