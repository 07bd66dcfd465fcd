/** Words of the claim. */
export const claimWords = {
  claim: {
    title: 'Whose box this is',
    none: 'Claimed by nobody',
    noneText:
      'The center gives a file, a QR code or a typed code for this box. Until it is claimed it records for its owner alone.',
    ended: 'No longer with a center',
    endedText: 'Nothing is shared any more, recording goes on. To join again, ask the center for a new claim.',
    waiting: 'Waiting for the center',
    pending: 'Taken by the center',
    goesOn: {
      waiting: 'The box goes on trying by itself. You can leave.',
      pending: 'The first word of the center is still to come.',
    },
    by: (center: string) => `Claimed by ${center}`,
    as: (site: string, box: string) => `This box is ${box} of ${site}.`,
    centerKey: (center: string) => `Key of ${center}`,
    ownKey: 'Key of this box:',
    cancel: 'Take the claim back',
    which: 'How the center gave the claim',
    way: { file: 'File', qr: 'QR code', code: 'Typed code' },
    file: 'Claim file',
    paste: 'Or paste its text',
    qr: 'Text of the QR code',
    qrHint: 'Scan it with the camera of the phone and paste what it says. It begins with bluelight:claim',
    code: 'Code (8 letters and digits)',
    address: 'Address of the center',
    addressHint: 'As the center gave it beside the code. Empty: as configured on this box.',
    look: 'See who answers',
    answers: (center: string, address: string) => `${center} answers at ${address}.`,
    compare: 'Is this the fingerprint that the center told you, letter by letter?',
    same: 'Yes, claim this box',
    different: 'No, it differs',
    differs: 'Do not go on. Nothing was sent.',
    differsFix: 'Check the address. If it is right, call the center: somebody may stand in between.',
    fingerprint: 'Fingerprint of the center',
    fingerprintHint:
      'Five groups of four, from the center. Without it the box cannot tell the center from somebody else.',
    later: 'Claim as soon as the center answers',
    submit: 'Claim this box',
    busy: 'Asking the center…',
    noFile: {
      what: 'This is not the text of a claim file.',
      fix: 'Choose the file as the center gave it, or paste all of it, from the first { to the last }.',
    },
    noCode: { what: 'A code has eight letters and digits.', fix: 'Type it as the center gave it, such as K7QM-2XTD.' },
    /** Where the fix of the box speaks of commands and not of this page. */
    fix: {
      BAD_REQUEST: 'Compare it with what the center gave. If it is the same, ask the center for a new claim.',
      CLAIMED: 'Take the claim back if it waits here. To change the center leave the program first, under Access.',
      KEY_USED: 'Ask the center for a new claim.',
      CENTER_UNREACHABLE:
        'Check the address and the uplink of the box. If both are right, claim below with the fingerprint from the center.',
    } as Record<string, string>,
  },
};
