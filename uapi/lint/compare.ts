/** What programs that were built against an older description would notice. */
import {
  type Description,
  describe,
  type FieldDescription,
  type IoctlDescription,
  type StructDescription,
} from './description.js';
import type { Surface, Where } from './surface.js';

const DIRECTIONS = ['_IO', '_IOW', '_IOR', '_IOWR'];
const KEEP = 'leave it as it was, and make a new request beside it';

export function lintCompatibility(surface: Surface, old: Description): void {
  const now = describe(surface.uapi);
  for (const ioctl of old.ioctls) compareIoctl(surface, ioctl, now);
  for (const struct of old.structs) compareStruct(surface, struct, now);
  for (const name of old.devices ?? []) {
    if (now.devices?.includes(name)) continue;
    const problem = 'it is gone: ENOENT for old programs';
    surface.report('compat-removed', {}, `/dev/${name}`, problem, 'keep its name');
  }
  for (const [name, value] of Object.entries(old.constants)) {
    const item = surface.constants.find((constant) => constant.name === name);
    const is = now.constants[name];
    if (is === value) continue;
    if (is === undefined) {
      surface.report('compat-removed', {}, name, `it was ${value}, and is gone`, 'keep it');
    } else {
      surface.report(
        'compat-constant',
        { item },
        name,
        `it was ${value}, and is ${is}`,
        'keep it, and give the other value a name of its own',
      );
    }
  }
}

function compareIoctl(surface: Surface, old: IoctlDescription, now: Description): void {
  const found = surface.ioctls.find(({ def }) => def.name === old.name);
  const is = now.ioctls.find(({ name }) => name === old.name);
  if (!found || !is) {
    surface.report(
      'compat-removed',
      {},
      old.name,
      'it is gone: ENOTTY for old programs',
      'keep it',
    );
    return;
  }
  const number = ({ type, nr }: IoctlDescription) => `0x${type.toString(16)}, 0x${nr.toString(16)}`;
  if (old.type !== is.type || old.nr !== is.nr) {
    const problem = `it was ${number(old)}, and is ${number(is)}`;
    surface.report('compat-number', found, old.name, problem, KEEP);
  }
  if (old.direction !== is.direction) {
    const problem = `it was ${DIRECTIONS[old.direction]}, and is ${DIRECTIONS[is.direction]}: another number`;
    surface.report('compat-direction', found, old.name, problem, KEEP);
  }
  if (old.size !== is.size && !(is.extensible && is.size > old.size)) {
    const problem = `its argument had ${old.size} bytes, and has ${is.size}: another number, ENOTTY for old programs`;
    const remedy = is.size > old.size ? `make the device \`extensible\`, or ${KEEP}` : KEEP;
    surface.report('compat-size', found, old.name, problem, remedy);
  }
}

function compareStruct(surface: Surface, old: StructDescription, now: Description): void {
  const found = surface.structs.find(({ type }) => type.name === old.name);
  const is = now.structs.find(({ name }) => name === old.name);
  if (!found || !is) {
    surface.report('compat-removed', {}, old.name, 'it is gone', 'keep it');
    return;
  }
  for (const field of old.fields) {
    const same = is.fields.find(({ name }) => name === field.name);
    const problem = same && !field.reserved ? changeOf(field, same) : goneFrom(field, is);
    if (problem === undefined) continue;
    const where: Where = { item: found.item, type: found.type, field: same?.name };
    const remedy =
      'leave fields where and as they are; put new ones in reserved ones, or at the end';
    surface.report('compat-field', where, `${old.name}, ${field.name}`, problem, remedy);
  }
  // Its requests tell of it otherwise.
  if (old.size !== is.size && found.users.length === 0) {
    const problem = `it had ${old.size} bytes, and has ${is.size}: arrays of it are others`;
    surface.report('compat-size', found, old.name, problem, 'put new fields in reserved ones');
  }
}

function changeOf(old: FieldDescription, now: FieldDescription): string | undefined {
  if (old.offset !== now.offset) return `it was at byte ${old.offset}, and is at ${now.offset}`;
  if (old.type === now.type) return undefined;
  return `it was ${old.type}, and is ${now.type}`;
}

/** A reserved field may be put to use, in part or whole, if what is put there lies within it. */
function goneFrom(old: FieldDescription, now: StructDescription): string | undefined {
  const end = old.offset + old.size;
  if (!old.reserved || now.size < end) return 'it is gone';
  const inside = now.fields.filter(
    ({ offset, size }) => offset < end && offset + size > old.offset,
  );
  const spills = inside.some(({ offset }) => offset < old.offset);
  return spills ? 'a field that begins before it has taken some of it' : undefined;
}
