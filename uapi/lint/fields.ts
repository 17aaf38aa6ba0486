/** The types of fields, and what their names and documentation say of them. */
import type { CType, Field } from '../../ioctl/index.js';
import { elementOf, isArray, isStruct } from '../types.js';
import type { RuleId } from './rules.js';
import { isFlags, isReserved, type LintedStruct, type Surface, writes } from './surface.js';

const FIXED = /^_*([us](8|16|32|64)|[bl]e(16|32|64)|u?int(8|16|32|64)_t)(: big-endian)?$/;
/** Of another size on other machines. */
const VARIABLE =
  /\*|pointer|^(unsigned |signed )?long( int)?$|^u?long$|^s?size_t$|^u?intptr_t$|^(off|time|loff|dev|clock)_t$/;
const COUNT =
  /^(n|num|nr|count|len|length|size|entries|nents|n_\w+|num_\w+|nr_\w+|count_\w+)$|_(count|len|length|size|entries|nents|num|nr)$/;
const POINTER = /(^|_)(ptr|pointer|uptr|userptr|usrptr)$/;

export function lintFields(surface: Surface): void {
  for (const struct of surface.structs) {
    if (struct.anonymous) continue;
    for (const field of struct.type.fields) {
      const doc = surface.docOf(struct.type, field);
      lintType(surface, struct, field);
      lintPointer(surface, struct, field, doc);
      lintDescriptor(surface, struct, field, doc);
      lintArray(surface, struct, field, doc);
      lintDocumentation(surface, struct, field, doc);
    }
    lintRoom(surface, struct);
  }
}

function lintType(surface: Surface, struct: LintedStruct, field: Field): void {
  const { kind, size } = elementOf(field.type);
  if (kind !== 'integer' && kind !== 'pointer') return;
  const name = surface.cTypeOf(struct.type, field);
  const report = (rule: RuleId, problem: string, remedy: string) =>
    surface.reportField(rule, struct, field.name, problem, remedy);
  if (name.startsWith('enum ')) {
    const problem = `${name}: compilers choose the size and the sign of an enum`;
    report('type-enum', problem, 'use `u32`, and name its values by constants');
  } else if (/:\s*\d+$/.test(name)) {
    const problem = `${name}: compilers choose the order of bit-fields`;
    report('type-bitfield', problem, 'use a `u32` with constants for its bits');
  } else if (VARIABLE.test(name)) {
    const isPointer = /\*|pointer/.test(name);
    const remedy = isPointer ? 'use `ptr`: an address in a __u64' : 'use `u64` or `s64`';
    report('type-variable', `${name} is of another size in a 32-bit program`, remedy);
  } else if (!FIXED.test(name)) {
    report(
      'type-plain',
      `${name} is no type of fixed size and sign`,
      `use \`u${8 * size}\` or \`s${8 * size}\``,
    );
  } else if (/(^|_)(name|label|string|str)$/.test(field.name) && isByteArray(field.type)) {
    const problem = 'a string in an array of bytes: char arrays are clearer';
    report('string-bytes', problem, `use \`charArray(${field.type.size})\``);
  }
}

const isByteArray = (type: CType) => isArray(type) && /^__[us]8$/.test(type.element.name);

function lintPointer(surface: Surface, struct: LintedStruct, field: Field, doc: string): void {
  const { kind, size } = field.type;
  if (kind !== 'integer' || size === 8) return;
  if (!POINTER.test(field.name) && !/\b(pointer to|user pointer)\b/i.test(doc)) return;
  const problem = `an address in ${size * 8} bits: programs of 64 bits cannot pass theirs`;
  surface.reportField(
    'pointer-32bit',
    struct,
    field.name,
    problem,
    'use `ptr`: an address in a __u64',
  );
}

/** That a descriptor need not be given. */
const OPTIONAL = /[-−]1\b|\b(none|optional(ly)?|if any|if there is one|or no)\b/i;

function lintDescriptor(surface: Surface, struct: LintedStruct, field: Field, doc: string): void {
  const { name, kind, size } = elementOf(field.type);
  if (kind !== 'integer') return;
  const isDescriptor = /(^|_)(fds?\d?|memfd)$/.test(field.name) && name !== '__s32';
  // Where there always is one, any 32 bits will do.
  if (isDescriptor && (size !== 4 || OPTIONAL.test(doc))) {
    const problem =
      size === 4
        ? `a descriptor that may be absent in ${name}: −1, for none, cannot be said`
        : `a descriptor in ${name}: they are ints`;
    surface.reportField('fd-type', struct, field.name, problem, 'use `s32`, with −1 for none');
  }
  if (/(^|_)handles?$/.test(field.name) && name !== '__u32') {
    const problem = `a handle in ${name}`;
    surface.reportField('handle-type', struct, field.name, problem, 'use `u32`, with 0 for none');
  }
}

function lintArray(surface: Surface, struct: LintedStruct, field: Field, doc: string): void {
  const { type } = struct;
  const others = type.fields.filter((other) => other !== field);
  const counted = others.some((other) => COUNT.test(other.name));
  const isList = field.type.kind === 'pointer' && /\b(arrays?|list of|room for)\b/i.test(doc);
  if ((isList || field.type.kind === 'flexible') && !counted) {
    const problem = 'an array without its length: what lies behind it cannot be told from it';
    surface.reportField(
      'array-count',
      struct,
      field.name,
      problem,
      'add a field `count: u32`, and check it for overflows',
    );
  }
  if (field.type.kind === 'flexible' && struct.users.length > 0 && struct.device?.extensible) {
    const problem = `its device is \`extensible\`, but a field that is added at the end would lie where programs of today have the array, behind byte ${type.size}`;
    surface.reportField(
      'array-flexible',
      struct,
      field.name,
      problem,
      'pass its address as `ptr`, with a count',
    );
  }
}

function lintDocumentation(
  surface: Surface,
  struct: LintedStruct,
  field: Field,
  doc: string,
): void {
  const asked = struct.users.length > 0 && !isStruct(field.type);
  const isPad = isReserved(field, doc);
  if (doc === '' && asked && !isPad) {
    const remedy = `say \`in: …\` or \`out: …\`, with meaning and unit`;
    surface.reportField('doc-missing', struct, field.name, 'it is not documented', remedy);
  }
  // Padding that the kernel writes is zero by itself.
  const ignored =
    /\b(is|are|bits|not looked at|not checked)?\s*(ignored|not looked at|not checked)\b/i;
  if ((isPad || isFlags(field)) && ignored.test(doc)) {
    const problem =
      'what is not used is not checked: programs that pass garbage there keep it from ever being used';
    surface.reportField(
      'reserved-ignored',
      struct,
      field.name,
      problem,
      'answer EINVAL unless it is 0, and say so',
    );
  }
}

/** Whether anything can be added later. */
function lintRoom(surface: Surface, struct: LintedStruct): void {
  const { type, users, device } = struct;
  const inward = users.some(writes);
  if (!inward) return;
  const docs = new Map(type.fields.map((field) => [field, surface.docOf(type, field)]));
  const hasRoom = type.fields.some(
    (field) => isFlags(field) || isReserved(field, docs.get(field) ?? ''),
  );
  if (!hasRoom && !device?.extensible) {
    const remedy = 'add `flags: u32`, EINVAL unless 0 for now, or make the device `extensible`';
    surface.report(
      'no-flags',
      struct,
      struct.label,
      'no flags and nothing reserved: it can never mean anything more',
      remedy,
    );
  }
  for (const [field, doc] of docs) {
    const direction = surface.directionOf(type, field);
    if (direction && !direction.in) continue;
    if (isFlags(field) && !field.flags && !isReserved(field, doc)) {
      const problem =
        'it is not said what its bits are: that unknown ones are refused cannot be tried';
      surface.reportField(
        'flags-undeclared',
        struct,
        field.name,
        problem,
        'write `field(u32, { flags: flags({ NAME, … }) })`, or `in: 0`',
      );
    }
    if (/^(abi_|api_|struct_|uapi_)?(version|ver|revision)$/.test(field.name)) {
      const problem = 'a version that gives one request several meanings';
      surface.reportField(
        'version-field',
        struct,
        field.name,
        problem,
        'make a new request, with a new number, when the old one is not enough',
      );
    }
    if (/^(argsz|arg_size|struct_size|size_of_struct|sizeof_struct|struct_len)$/.test(field.name)) {
      const problem = 'the size of the struct once more: the request number has it';
      surface.reportField(
        'size-field',
        struct,
        field.name,
        problem,
        'leave it out; `extensible: true` takes shorter and longer structs',
      );
    }
  }
}
