// Tests Fundrail with Lago's published client, which is unmodified except for the
// server's address. The exit code is not 0 if an answer is not what users of the
// client expect.
import assert from "node:assert/strict";
import { Client, getLagoError } from "lago-javascript-client";

const { FUNDRAIL_API_KEY, FUNDRAIL_URL } = process.env;
const infos = [];
const client = Client(FUNDRAIL_API_KEY, {
  baseUrl: `${FUNDRAIL_URL}/api/v1`,
  rateLimitRetry: { onRateLimitInfo: (info) => infos.push(info) },
});

// refused returns the client's representation of an error answer.
async function refused(call) {
  try {
    await call;
  } catch (error) {
    return getLagoError(error);
  }
  return assert.fail("the call should be refused");
}

// becomes waits until a wallet transaction has a status.
async function becomes(id, status) {
  for (const until = Date.now() + 15_000; Date.now() < until; ) {
    const { data } = await client.walletTransactions.findWalletTransaction(id);
    if (data.wallet_transaction.status === status) return data.wallet_transaction;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`wallet transaction ${id} should be ${status}`);
}

const externalID = `js-${Date.now()}`;
const { data: { customer } } = await client.customers.createCustomer({
  customer: { external_id: externalID, name: "Ada Reader", currency: "USD", email: "ada@reader.example" },
});
assert.equal(customer.external_id, externalID);

// Create.
const { data: { wallet } } = await client.wallets.createWallet({
  wallet: {
    external_customer_id: process.env.FUNDRAIL_CUSTOMER, name: `Stars ${externalID}`, rate_amount: "0.5", currency: "USD",
    granted_credits: "10.0",
  },
});
assert.equal(wallet.status, "active");
assert.equal(wallet.rate_amount, "0.5");
assert.equal(wallet.credits_balance, "0.0");

// List and show.
const { data: list } = await client.wallets.findAllWallets({ external_customer_id: process.env.FUNDRAIL_CUSTOMER });
assert.ok(list.wallets.some((w) => w.lago_id === wallet.lago_id));
assert.equal(list.meta.current_page, 1);
const { data: shown } = await client.wallets.findWallet(wallet.lago_id);
assert.equal(shown.wallet.credits_balance, "10.0");
assert.equal(shown.wallet.balance_cents, 500);

// Update.
const { data: updated } = await client.wallets.updateWallet(wallet.lago_id, { wallet: { name: "Renamed" } });
assert.equal(updated.wallet.name, "Renamed");

// Top up: paid and granted. The card is charged by a job.
const { data: { wallet_transactions: rows } } = await client.walletTransactions.createWalletTransaction({
  wallet_transaction: {
    wallet_id: wallet.lago_id, paid_credits: "20.0", granted_credits: "5.0",
    metadata: [{ key: "order", value: externalID }],
  },
});
assert.deepEqual(rows.map((r) => [r.transaction_status, r.status]), [["purchased", "pending"], ["granted", "settled"]]);
const settled = await becomes(rows[0].lago_id, "settled");
assert.equal(settled.amount, "10.0");
assert.ok(settled.lago_invoice_id);
const { data: after } = await client.wallets.findWallet(wallet.lago_id);
assert.equal(after.wallet.credits_balance, "35.0");

const { data: page } = await client.wallets.findAllWalletTransactions(wallet.lago_id, { transaction_status: "purchased" });
assert.deepEqual(page.wallet_transactions.map((r) => r.lago_id), [rows[0].lago_id]);
assert.equal(page.meta.total_count, 1);

// Errors have the form that the client's users expect.
const invalid = await refused(client.walletTransactions.createWalletTransaction({
  wallet_transaction: { wallet_id: wallet.lago_id, paid_credits: 20 },
}));
assert.deepEqual(invalid, {
  status: 422, error: "Unprocessable Entity", code: "validation_errors",
  error_details: { paid_credits: ["invalid_paid_credits", "invalid_amount"] },
});
assert.equal((await refused(client.wallets.findWallet("unknown"))).code, "wallet_not_found");

const { data: ended } = await client.wallets.destroyWallet(wallet.lago_id);
assert.equal(ended.wallet.status, "terminated");

// The client reads our rate limit.
assert.ok(infos.length > 0 && infos.every((info) => info.limit > 0 && info.reset >= 0));
console.log(`${infos.length} calls answered`);
