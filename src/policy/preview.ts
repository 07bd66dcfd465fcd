import type { AccessMode, CameraTerms, PolicyDocument } from '../contract/policy.js';

/** Camera ids to the names that people gave them. */
export type CameraNames = Readonly<Record<string, string>>;
export type Language = 'en' | 'es';

export interface PreviewRow {
  camera: string;
  name: string;
  /** When this line counts, in words. */
  when: string;
  /** `none`: the terms do not name this camera. */
  mode: AccessMode | 'none';
  live: Answer;
  clips: Answer;
  stills: Answer;
  sightings: Answer;
  /** Clips of motion, sent without anyone asking. */
  unasked: Answer;
  masked: boolean;
  retentionMaxDays: number | null;
}

/** What the city can do, from never to without asking. */
export type Answer = 'no' | 'owner' | 'emergency' | 'yes';

/** One row per line of the terms, and one for each camera of the site that the terms do not name. */
export function previewTable(
  document: PolicyDocument | null,
  names: CameraNames,
  language: Language = 'en',
): PreviewRow[] {
  const lines = document?.cameras ?? [];
  const rows = lines.map((terms) => row(terms, names, language));
  const silent = Object.keys(names).filter((camera) => !lines.some((terms) => terms.camera === camera));
  return [...rows, ...silent.map((camera) => nothing(camera, names, language))];
}

function row(terms: CameraTerms, names: CameraNames, language: Language): PreviewRow {
  const base = { registry: 'no', ask: 'owner', clips: 'yes', emergency: 'emergency', live: 'yes' } as const;
  const shared: Answer = base[terms.mode];
  // Masks cannot be burned into what is sent as it was recorded.
  const pictures: Answer = terms.masks.length > 0 ? 'no' : shared;
  const allowed = shared === 'yes' || shared === 'emergency';
  return {
    camera: terms.camera,
    name: names[terms.camera] ?? terms.camera,
    when: hoursInWords(terms.hours, language),
    mode: terms.mode,
    live: terms.mode === 'clips' ? 'no' : pictures,
    clips: pictures,
    stills: terms.stills ? shared : 'no',
    sightings: terms.sightings ? shared : 'no',
    unasked: terms.autoClips && allowed ? pictures : 'no',
    masked: terms.masks.length > 0,
    retentionMaxDays: terms.retentionMaxDays,
  };
}

function nothing(camera: string, names: CameraNames, language: Language): PreviewRow {
  return {
    camera,
    name: names[camera] ?? camera,
    when: WORDS[language].always,
    mode: 'none',
    live: 'no',
    clips: 'no',
    stills: 'no',
    sightings: 'no',
    unasked: 'no',
    masked: false,
    retentionMaxDays: null,
  };
}

/** The same in sentences, for a person who reads them on a phone before consenting. */
export function previewWords(document: PolicyDocument | null, names: CameraNames, language: Language = 'en'): string[] {
  const words = WORDS[language];
  if (document === null || document.cameras.every((terms) => terms.mode === 'registry')) return [words.nothing];
  const sentences = previewTable(document, names, language).map((line) => sentence(line, language));
  const delay = document.notifyDelaySeconds;
  return [
    ...sentences,
    delay === 0 ? words.toldAtOnce : words.toldLater(Math.ceil(delay / 60)),
    words.zone(document.timeZone),
    words.anytime,
  ];
}

function sentence(line: PreviewRow, language: Language): string {
  const words = WORDS[language];
  const kinds = ['live', 'clips', 'stills', 'sightings', 'unasked'] as const;
  const parts: string[] = [];
  for (const answer of ['yes', 'owner', 'emergency'] as const) {
    const named = kinds.filter((kind) => line[kind] === answer).map((kind) => words.kind[kind]);
    if (named.length > 0) parts.push(`${words.answer[answer]} ${words.list(named)}`);
  }
  const masked = line.masked ? ` ${words.masked}` : '';
  if (parts.length === 0) return `${line.name}: ${words.never}${masked}`;
  const days = line.retentionMaxDays === null ? '' : ` ${words.atMost(line.retentionMaxDays)}`;
  return `${line.name}, ${line.when}: ${parts.join('; ')}.${masked}${days}`;
}

export function hoursInWords(hours: CameraTerms['hours'], language: Language): string {
  const words = WORDS[language];
  if (hours.length === 0) return words.always;
  return hours
    .map((entry) => {
      const days = entry.days.length === 7 ? words.everyDay : entry.days.map((day) => words.day[day]).join(', ');
      return `${days} ${entry.from}–${entry.to}${entry.to <= entry.from ? ` ${words.nextDay}` : ''}`;
    })
    .join('; ');
}

interface Words {
  always: string;
  everyDay: string;
  nextDay: string;
  day: Record<CameraTerms['hours'][number]['days'][number], string>;
  kind: Record<'live' | 'clips' | 'stills' | 'sightings' | 'unasked', string>;
  answer: Record<'yes' | 'owner' | 'emergency', string>;
  list(parts: string[]): string;
  never: string;
  nothing: string;
  masked: string;
  atMost(days: number): string;
  toldAtOnce: string;
  toldLater(minutes: number): string;
  zone(name: string): string;
  anytime: string;
}

const WORDS: Record<Language, Words> = {
  en: {
    always: 'at all times',
    everyDay: 'every day',
    nextDay: '(next day)',
    day: { mon: 'Mon', tue: 'Tue', wed: 'Wed', thu: 'Thu', fri: 'Fri', sat: 'Sat', sun: 'Sun' },
    kind: {
      live: 'live pictures',
      clips: 'recorded clips on request',
      stills: 'single pictures in full sharpness',
      sightings: 'notes of passing vehicles (direction, size, color)',
      unasked: 'clips of motion as it happens',
    },
    answer: {
      yes: 'the city can have',
      owner: 'only if you say yes each time, the city can have',
      emergency: 'only while an emergency window is open, the city can have',
    },
    list: (parts) => joined(parts, 'and'),
    never: 'the city sees nothing of this camera.',
    nothing: 'The city sees nothing. It may know that this site has cameras.',
    masked:
      'Hidden areas never leave the box: they are painted over in single pictures, and because of them neither clips nor live pictures are shared.',
    atMost: (days) => `Recordings older than ${days} days are gone.`,
    toldAtOnce: 'You see every look, and every refused one, in your list at once.',
    toldLater: (minutes) => `You see every look in your list, at the latest ${minutes} minutes later.`,
    zone: (name) => `Hours are those of ${name}.`,
    anytime:
      'You can pause or leave at any time, on this box, without asking anyone. Copies already delivered stay with the city.',
  },
  es: {
    always: 'a toda hora',
    everyDay: 'todos los días',
    nextDay: '(día siguiente)',
    day: { mon: 'lun', tue: 'mar', wed: 'mié', thu: 'jue', fri: 'vie', sat: 'sáb', sun: 'dom' },
    kind: {
      live: 'imagen en vivo',
      clips: 'grabaciones que pida',
      stills: 'fotos a plena resolución',
      sightings: 'datos de vehículos que pasan (dirección, tamaño, color)',
      unasked: 'clips de movimiento en el momento',
    },
    answer: {
      yes: 'la ciudad puede tener',
      owner: 'solo si usted dice que sí cada vez, la ciudad puede tener',
      emergency: 'solo mientras hay una ventana de emergencia abierta, la ciudad puede tener',
    },
    list: (parts) => joined(parts, 'y'),
    never: 'la ciudad no ve nada de esta cámara.',
    nothing: 'La ciudad no ve nada. Puede saber que este sitio tiene cámaras.',
    masked:
      'Las zonas ocultas nunca salen de la caja: se tapan en las fotos, y por ellas no se comparten ni grabaciones ni imagen en vivo.',
    atMost: (days) => `Las grabaciones de más de ${days} días se borran.`,
    toldAtOnce: 'Usted ve cada consulta, también las rechazadas, en su lista al momento.',
    toldLater: (minutes) => `Usted ve cada consulta en su lista, a más tardar ${minutes} minutos después.`,
    zone: (name) => `Las horas son las de ${name}.`,
    anytime:
      'Puede pausar o salir cuando quiera, en esta caja, sin pedir permiso. Las copias ya entregadas se quedan con la ciudad.',
  },
};

function joined(parts: string[], and: string): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} ${and} ${parts.at(-1)}`;
}
