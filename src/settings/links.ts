import { z } from 'zod';
import { parseDuration, parseSize } from '../base/units.js';
import { rendition } from '../contract/primitives.js';

/** A text with a unit, such as `"30s"`, decoded by `parse`. */
export function unit<T>(parse: (text: string) => T, example: string): z.ZodType<T> {
  return z.string({ error: `a text such as ${example}` }).transform((text, context) => {
    try {
      return parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: `a text such as ${example}` });
      return z.NEVER;
    }
  });
}

export const duration = unit(parseDuration, '"30s", "15m" or "7d"');
export const size = unit(parseSize, '"500MB" or "200GB"');

/** `22:00-06:00` in the time zone of the box; may run over midnight. Minutes of the day, end excluded. */
const hours = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$/, { error: 'hours such as "22:00-06:00"' })
  .transform((text) => {
    const [fromMinute, toMinute] = text.split('-').map((time) => {
      const [hour, minute] = time.split(':').map(Number);
      return hour! * 60 + minute!;
    });
    return { fromMinute: fromMinute!, toMinute: toMinute! };
  });

export const linkKind = z.enum(['fiber', 'cable', 'cellular', 'wifi-bridge']);
export type LinkKind = z.infer<typeof linkKind>;

/**
 * One way out of the box as it is configured. `cost`: what a byte costs. `flat` is free to use, `metered` has a plan
 * to save, `emergency` carries emergencies (and the session with the center) only.
 */
export const linkSetting = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9-]{1,20}$/, { error: 'an id of small letters, digits and dashes, such as "lte"' }),
    kind: linkKind,
    /** Absent: wherever the routing table leads; such a link cannot be told from another one. */
    interface: z
      .string()
      .regex(/^[^\s/]{1,15}$/, { error: 'the name of a network interface, such as "wwan0"' })
      .optional(),
    cost: z.enum(['flat', 'metered', 'emergency']).optional(),
    /** Both directions, per billing period; absent: no limit. */
    budget: size.optional(),
    billing_day: z.number().int().min(1).max(28).default(1),
    /** Percent of the budget that is kept for emergencies. */
    reserve: z.number().min(0).max(90).default(25),
    hours: z.array(hours).default([]),
    /** Name servers that are asked over this link; absent: those of the system that are not on the box itself. */
    dns: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
    /** What of motion clips may go over this link by itself; absent: stills on metered links, everything on flat ones. */
    auto: z.array(rendition).optional(),
    /** Whether originals that somebody asked for as routine may go over it; absent: not on metered links. */
    originals: z.boolean().optional(),
  })
  .transform((link) => {
    const cost = link.cost ?? (link.kind === 'cellular' ? 'metered' : 'flat');
    return {
      id: link.id,
      kind: link.kind,
      interface: link.interface ?? null,
      cost,
      budget:
        link.budget === undefined
          ? null
          : { bytes: link.budget, billingDay: link.billing_day, reserve: link.reserve / 100 },
      hours: link.hours,
      dns: link.dns,
      auto: link.auto ?? (cost === 'flat' ? (['stills', 'proxy', 'original'] as const) : (['stills'] as const)),
      originals: link.originals ?? cost === 'flat',
    };
  });
export type LinkConfig = z.output<typeof linkSetting>;

/** A box without configured links has one, which goes where the routing table says. */
const DEFAULT_LINK = linkSetting.parse({ id: 'default', kind: 'fiber' });

export const linksSetting = z
  .array(linkSetting, { error: 'tables [[uplinks.links]] with at least id and kind' })
  .refine((links) => new Set(links.map((link) => link.id)).size === links.length, {
    error: 'links that each have an id of their own',
  })
  .transform((links) => (links.length > 0 ? links : [DEFAULT_LINK]));
