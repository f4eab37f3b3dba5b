/**
 * Where the API is: `ApiUrl` of a deployed stack, without a slash at its end. Empty, it is where the page came from, or what
 * `?api=` says.
 */
export const API = "";
