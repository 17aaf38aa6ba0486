/**
 * What a value of a loaded module is. By what it has, not by its class: a module that imports the definitions
 * by a relative path has copies of its own.
 */
import type { ArrayType, CType, IoctlDef, IoctlTable, StructType } from '../ioctl/index.js';
import type { DeviceDefinition } from '../src/kit/define_device.js';

function has(value: unknown, ...keys: string[]): value is object {
  return value instanceof Object && keys.every((key) => key in value);
}

export function isStruct(value: unknown): value is StructType {
  if (!has(value, 'kind', 'tag', 'members', 'size')) return false;
  return 'kind' in value && (value.kind === 'struct' || value.kind === 'union');
}

/** A struct or union that has no tag: it is written where it is used. */
export function isUnnamed(type: CType): type is StructType {
  return isStruct(type) && type.tag === '';
}

export function isArray(type: CType): type is ArrayType {
  return type.kind === 'array' || type.kind === 'flexible';
}

/** What an array is made of at last; any other type itself. */
export function elementOf(type: CType): CType {
  return isArray(type) ? elementOf(type.element) : type;
}

export function isIoctl(value: unknown): value is IoctlDef {
  return has(value, 'name', 'request', 'dir') && 'arg' in value;
}

export function isIoctlTable(value: unknown): value is IoctlTable {
  if (!(value instanceof Object) || Array.isArray(value)) return false;
  const entries: unknown[] = Object.values(value);
  return entries.length > 0 && entries.every(isIoctl);
}

export function isDevice(value: unknown): value is DeviceDefinition {
  return has(value, 'name') && 'name' in value && typeof value.name === 'string';
}

/** The structs and unions with tags that a type is made of, each before those that contain it. */
export function namedStructs(type: CType): StructType[] {
  const element = elementOf(type);
  if (!isStruct(element)) return [];
  const parts = element.members.flatMap((member) => namedStructs(member.type));
  return element.tag === '' ? parts : [...parts, element];
}

/** Whether two types are laid out alike, and named alike within. */
export function sameType(a: CType, b: CType): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.name !== b.name || a.size !== b.size || a.align !== b.align)
    return false;
  if (isArray(a) && isArray(b)) return sameType(a.element, b.element);
  if (!isStruct(a) || !isStruct(b)) return true;
  return (
    a.members.length === b.members.length &&
    a.members.every((one, i) => {
      const other = b.members[i];
      return (
        other !== undefined &&
        one.name === other.name &&
        one.offset === other.offset &&
        sameType(one.type, other.type)
      );
    })
  );
}
