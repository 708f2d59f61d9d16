# One page: is it called, does it fail, how long does it take, does work pile up.

locals {
  run   = "resource.type=\"cloud_run_revision\""
  queue = "resource.type=\"cloud_tasks_queue\""

  charts = [
    {
      title  = "Requests per second, by function"
      filter = "metric.type=\"run.googleapis.com/request_count\" ${local.run}"
      align  = "ALIGN_RATE"
      reduce = "REDUCE_SUM"
      by     = ["resource.label.service_name"]
    },
    {
      title  = "Answers of 5xx per second, by function"
      filter = "metric.type=\"run.googleapis.com/request_count\" ${local.run} metric.label.response_code_class=\"5xx\""
      align  = "ALIGN_RATE"
      reduce = "REDUCE_SUM"
      by     = ["resource.label.service_name"]
    },
    {
      title  = "Latency in ms, 95 of 100, by function"
      filter = "metric.type=\"run.googleapis.com/request_latencies\" ${local.run}"
      align  = "ALIGN_DELTA"
      reduce = "REDUCE_PERCENTILE_95"
      by     = ["resource.label.service_name"]
    },
    {
      title  = "Instances, by function"
      filter = "metric.type=\"run.googleapis.com/container/instance_count\" ${local.run}"
      align  = "ALIGN_MAX"
      reduce = "REDUCE_SUM"
      by     = ["resource.label.service_name"]
    },
    {
      title  = "Tasks that wait, by queue"
      filter = "metric.type=\"cloudtasks.googleapis.com/queue/depth\" ${local.queue}"
      align  = "ALIGN_MAX"
      reduce = "REDUCE_SUM"
      by     = ["resource.label.queue_id"]
    },
    {
      title  = "Attempts at tasks per second, by answer"
      filter = "metric.type=\"cloudtasks.googleapis.com/queue/task_attempt_count\" ${local.queue}"
      align  = "ALIGN_RATE"
      reduce = "REDUCE_SUM"
      by     = ["resource.label.queue_id", "metric.label.response_code"]
    },
    {
      title  = "Documents written per second"
      filter = "metric.type=\"firestore.googleapis.com/document/write_count\" resource.type=\"firestore_instance\""
      align  = "ALIGN_RATE"
      reduce = "REDUCE_SUM"
      by     = ["metric.label.op"]
    },
    {
      title  = "Documents read per second"
      filter = "metric.type=\"firestore.googleapis.com/document/read_count\" resource.type=\"firestore_instance\""
      align  = "ALIGN_RATE"
      reduce = "REDUCE_SUM"
      by     = ["metric.label.type"]
    },
  ]
}

resource "google_monitoring_dashboard" "credence" {
  dashboard_json = jsonencode({
    displayName = "Credence"
    gridLayout = {
      columns = 2
      widgets = [
        for chart in local.charts : {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart.align
                    crossSeriesReducer = chart.reduce
                    groupByFields      = chart.by
                  }
                }
              }
            }]
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.used]
}
