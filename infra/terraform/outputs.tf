output "address" {
  description = "What the domain's A record must say. The certificate is made once it does, within an hour."
  value       = google_compute_global_address.front.address
}

output "url" {
  description = "Where everything is served."
  value       = local.audience
}

output "audience" {
  description = "What the tokens of services must be for."
  value       = local.audience
}

output "log_key" {
  description = "The key in Cloud KMS that signs checkpoints."
  value       = google_kms_crypto_key.log.id
}

output "checkpoints" {
  description = "The bucket that keeps them."
  value       = "gs://${google_storage_bucket.checkpoints.name}"
}

output "secrets_without_value" {
  description = "Secrets that nobody gets yet: give them a value, and name them in `secrets`."
  value       = sort(setsubtract(local.secrets, var.secrets))
}
